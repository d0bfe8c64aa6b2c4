// Vec<float> of 4 lanes on AArch64 NEON. Contract: simd/vec.h.

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kWidth = 4;
  static constexpr bool kLaneFma = true;
  struct Mask {
    uint32x4_t m;
  };

  float32x4_t v;

  static LAMINAE_INLINE Vec zero() { return {vdupq_n_f32(0.0f)}; }
  static LAMINAE_INLINE Vec set1(float s) { return {vdupq_n_f32(s)}; }
  static LAMINAE_INLINE Vec load(const float* p) { return {vld1q_f32(p)}; }
  static LAMINAE_INLINE Vec load_stream(const float* p) { return load(p); }
  static LAMINAE_INLINE Vec load_n(const float* p, int64_t n) {
    if (n >= 4) return load(p);
    float32x4_t r = vdupq_n_f32(0.0f);
    if (n > 0) r = vld1q_lane_f32(p, r, 0);
    if (n > 1) r = vld1q_lane_f32(p + 1, r, 1);
    if (n > 2) r = vld1q_lane_f32(p + 2, r, 2);
    return {r};
  }
  template <int Lane>
  static LAMINAE_INLINE Vec fma_lane(Vec b, Vec a, Vec acc) {
    return {vfmaq_laneq_f32(acc.v, b.v, a.v, Lane)};
  }
  static constexpr bool kCheapParts = false;
  struct Part {
    int64_t begin, end;
  };
  static LAMINAE_INLINE Part part(int64_t begin, int64_t end) { return {begin, end}; }
  static LAMINAE_INLINE Vec load_part(const float* p, Part part) {
    if (part.begin <= 0 && part.end >= 4) return load(p);
    float32x4_t r = vdupq_n_f32(0.0f);
    if (part.begin <= 0 && part.end > 0) r = vld1q_lane_f32(p, r, 0);
    if (part.begin <= 1 && part.end > 1) r = vld1q_lane_f32(p + 1, r, 1);
    if (part.begin <= 2 && part.end > 2) r = vld1q_lane_f32(p + 2, r, 2);
    if (part.begin <= 3 && part.end > 3) r = vld1q_lane_f32(p + 3, r, 3);
    return {r};
  }
  template <int N>
  static LAMINAE_INLINE Vec window(Vec a, Vec b) {
    if (N == 4) return b;
    return {vextq_f32(a.v, b.v, N % 4)};
  }
  LAMINAE_INLINE Vec first(int64_t n) const {
    const int32_t lane[4] = {0, 1, 2, 3};
    const uint32x4_t keep = vcltq_s32(vld1q_s32(lane), vdupq_n_s32(static_cast<int32_t>(n)));
    return {vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), keep))};
  }
  LAMINAE_INLINE void store(float* p) const { vst1q_f32(p, v); }
  LAMINAE_INLINE void store_n(float* p, int64_t n) const {
    if (n >= 4) return store(p);
    if (n > 0) vst1q_lane_f32(p, v, 0);
    if (n > 1) vst1q_lane_f32(p + 1, v, 1);
    if (n > 2) vst1q_lane_f32(p + 2, v, 2);
  }
};

using Mask4 = Vec<float>::Mask;

LAMINAE_INLINE Mask4 operator&(Mask4 a, Mask4 b) { return {vandq_u32(a.m, b.m)}; }
LAMINAE_INLINE Mask4 operator|(Mask4 a, Mask4 b) { return {vorrq_u32(a.m, b.m)}; }
LAMINAE_INLINE Mask4 operator!(Mask4 a) { return {vmvnq_u32(a.m)}; }
LAMINAE_INLINE bool any(Mask4 a) { return vmaxvq_u32(a.m) != 0; }

LAMINAE_INLINE Vec<float> operator+(Vec<float> a, Vec<float> b) { return {vaddq_f32(a.v, b.v)}; }
LAMINAE_INLINE Vec<float> operator-(Vec<float> a, Vec<float> b) { return {vsubq_f32(a.v, b.v)}; }
LAMINAE_INLINE Vec<float> operator*(Vec<float> a, Vec<float> b) { return {vmulq_f32(a.v, b.v)}; }
LAMINAE_INLINE Vec<float> operator/(Vec<float> a, Vec<float> b) { return {vdivq_f32(a.v, b.v)}; }
LAMINAE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {vfmaq_f32(c.v, a.v, b.v)};
}
LAMINAE_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {vfmsq_f32(c.v, a.v, b.v)};
}
// FMIN and FMAX return NaN when either operand is NaN; the contract wants b, hence compare +
// select.
LAMINAE_INLINE Vec<float> min(Vec<float> a, Vec<float> b) {
  return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)};
}
LAMINAE_INLINE Vec<float> max(Vec<float> a, Vec<float> b) {
  return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)};
}
LAMINAE_INLINE Vec<float> sqrt(Vec<float> a) { return {vsqrtq_f32(a.v)}; }
LAMINAE_INLINE Vec<float> abs(Vec<float> a) { return {vabsq_f32(a.v)}; }
LAMINAE_INLINE Vec<float> neg(Vec<float> a) { return {vnegq_f32(a.v)}; }
LAMINAE_INLINE Vec<float> copysign(Vec<float> a, Vec<float> s) {
  return {vbslq_f32(vdupq_n_u32(0x80000000u), s.v, a.v)};
}
LAMINAE_INLINE Vec<float> round(Vec<float> a) { return {vrndnq_f32(a.v)}; }
LAMINAE_INLINE Vec<float> floor(Vec<float> a) { return {vrndmq_f32(a.v)}; }
LAMINAE_INLINE Vec<float> ceil(Vec<float> a) { return {vrndpq_f32(a.v)}; }

LAMINAE_INLINE Mask4 gt(Vec<float> a, Vec<float> b) { return {vcgtq_f32(a.v, b.v)}; }
LAMINAE_INLINE Mask4 ge(Vec<float> a, Vec<float> b) { return {vcgeq_f32(a.v, b.v)}; }
LAMINAE_INLINE Mask4 lt(Vec<float> a, Vec<float> b) { return {vcltq_f32(a.v, b.v)}; }
LAMINAE_INLINE Mask4 le(Vec<float> a, Vec<float> b) { return {vcleq_f32(a.v, b.v)}; }
LAMINAE_INLINE Mask4 eq(Vec<float> a, Vec<float> b) { return {vceqq_f32(a.v, b.v)}; }
LAMINAE_INLINE Mask4 unordered(Vec<float> a, Vec<float> b) {
  return {vmvnq_u32(vandq_u32(vceqq_f32(a.v, a.v), vceqq_f32(b.v, b.v)))};
}
LAMINAE_INLINE Vec<float> select(Mask4 m, Vec<float> a, Vec<float> b) {
  return {vbslq_f32(m.m, a.v, b.v)};
}
LAMINAE_INLINE void store_mask(Mask4 m, uint8_t* p) {
  uint32_t lanes[4];
  vst1q_u32(lanes, vshrq_n_u32(m.m, 31));
  LAMINAE_UNROLL for (int i = 0; i < 4; i++) p[i] = static_cast<uint8_t>(lanes[i]);
}
LAMINAE_INLINE void store_bytes(Vec<float> a, uint8_t* p, int64_t n) {
  const uint16x4_t half = vmovn_u32(vcvtq_u32_f32(a.v));
  const uint8x8_t bytes = vmovn_u16(vcombine_u16(half, half));
  if (n == 4) {
    vst1_lane_u32(reinterpret_cast<uint32_t*>(p), vreinterpret_u32_u8(bytes), 0);
    return;
  }
  if (n > 0) p[0] = vget_lane_u8(bytes, 0);
  if (n > 1) p[1] = vget_lane_u8(bytes, 1);
  if (n > 2) p[2] = vget_lane_u8(bytes, 2);
}
template <class V>
LAMINAE_INLINE typename V::Mask equal_bytes(const uint8_t* p, uint8_t code) {
  uint32_t four;
  memcpy(&four, p, 4);
  const uint8x8_t equal = vceq_u8(vreinterpret_u8_u32(vdup_n_u32(four)), vdup_n_u8(code));
  // Each byte 0 or 255, widened with its sign to 32 bits.
  const int16x8_t half = vmovl_s8(vreinterpret_s8_u8(equal));
  return {vreinterpretq_u32_s32(vmovl_s16(vget_low_s16(half)))};
}

LAMINAE_INLINE float reduce_add(Vec<float> a) {
  const float32x2_t s = vadd_f32(vget_low_f32(a.v), vget_high_f32(a.v));
  return vget_lane_f32(s, 0) + vget_lane_f32(s, 1);
}
LAMINAE_INLINE float reduce_max(Vec<float> a) { return vmaxvq_f32(a.v); }
LAMINAE_INLINE float reduce_min(Vec<float> a) { return vminvq_f32(a.v); }

LAMINAE_INLINE void deinterleave(Vec<float> a, Vec<float> b, Vec<float>& even, Vec<float>& odd) {
  even.v = vuzp1q_f32(a.v, b.v);
  odd.v = vuzp2q_f32(a.v, b.v);
}
LAMINAE_INLINE void split(Vec<float> a, Vec<float> b, Vec<float>& even, Vec<float>& odd) {
  deinterleave(a, b, even, odd);
}
LAMINAE_INLINE Vec<float> to_split(Vec<float> a) { return a; }
LAMINAE_INLINE Vec<float> from_split(Vec<float> a) { return a; }
LAMINAE_INLINE Vec<float> split_after(Vec<float> s, Vec<float> a) {
  return Vec<float>::window<3>(s, a);
}
LAMINAE_INLINE Vec<float> split_before(Vec<float> a, Vec<float> s) {
  return Vec<float>::window<1>(a, s);
}
LAMINAE_INLINE void interleave(Vec<float> a, Vec<float> b, Vec<float>& lo, Vec<float>& hi) {
  lo.v = vzip1q_f32(a.v, b.v);
  hi.v = vzip2q_f32(a.v, b.v);
}
LAMINAE_INLINE void transpose(Vec<float> (&r)[4]) {
  const float32x4_t a = vzip1q_f32(r[0].v, r[2].v);  // 00 20 01 21
  const float32x4_t b = vzip2q_f32(r[0].v, r[2].v);  // 02 22 03 23
  const float32x4_t c = vzip1q_f32(r[1].v, r[3].v);
  const float32x4_t d = vzip2q_f32(r[1].v, r[3].v);
  r[0].v = vzip1q_f32(a, c);
  r[1].v = vzip2q_f32(a, c);
  r[2].v = vzip1q_f32(b, d);
  r[3].v = vzip2q_f32(b, d);
}

// 2^n may lie outside the normal range (denormal results), so it is applied as two factors.
LAMINAE_INLINE Vec<float> scale_by_pow2(Vec<float> a, Vec<float> n) {
  const int32x4_t i = vcvtnq_s32_f32(n.v);
  const int32x4_t half = vshrq_n_s32(i, 1);
  const int32x4_t rest = vsubq_s32(i, half);
  const int32x4_t bias = vdupq_n_s32(127);
  const float32x4_t f1 = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
  const float32x4_t f2 = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, bias), 23));
  return {vmulq_f32(vmulq_f32(a.v, f1), f2)};
}
LAMINAE_INLINE Vec<float> exponent(Vec<float> a) {
  const int32x4_t e = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_f32(a.v), 23));
  return {vcvtq_f32_s32(vsubq_s32(e, vdupq_n_s32(127)))};
}
LAMINAE_INLINE Vec<float> mantissa(Vec<float> a) {
  const uint32x4_t low = vandq_u32(vreinterpretq_u32_f32(a.v), vdupq_n_u32(0x007fffffu));
  return {vreinterpretq_f32_u32(vorrq_u32(low, vdupq_n_u32(0x3f800000u)))};
}
