// exp, log, tanh, erf over Vec<double>, only for the portable ISA: the C library lane by lane.
// double is for gradient checks, which need accuracy and not speed.

LAMINAE_INLINE Vec<double> exp(Vec<double> x) { return each_lane<::exp>(x); }
LAMINAE_INLINE Vec<double> log(Vec<double> x) { return each_lane<::log>(x); }
LAMINAE_INLINE Vec<double> tanh(Vec<double> x) { return each_lane<::tanh>(x); }
LAMINAE_INLINE Vec<double> erf(Vec<double> x) { return each_lane<::erf>(x); }
