// Vec<float> of 8 lanes on AVX2 with FMA. Contract: simd/vec.h.

template <class T>
struct Vec;

// A window of 8 starting at 8 - n has its first n lanes set.
constexpr int32_t kTailMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

template <>
struct Vec<float> {
  static constexpr int kWidth = 8;
  static constexpr bool kLaneFma = false;
  struct Mask {
    __m256 m;
  };

  __m256 v;

  static LAMINAE_INLINE __m256i tail_mask(int64_t n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kTailMask + 8 - n));
  }
  static LAMINAE_INLINE Vec zero() { return {_mm256_setzero_ps()}; }
  static LAMINAE_INLINE Vec set1(float s) { return {_mm256_set1_ps(s)}; }
  static LAMINAE_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static LAMINAE_INLINE Vec load_stream(const float* p) { return load(p); }
  // Masked moves cost several times a plain one (stores on AMD most of all): whole vectors avoid
  // them.
  static LAMINAE_INLINE Vec load_n(const float* p, int64_t n) {
    if (n >= kWidth) return load(p);
    return {_mm256_maskload_ps(p, tail_mask(n))};
  }
  static constexpr bool kCheapParts = false;
  struct Part {
    __m256i lanes;
  };
  static LAMINAE_INLINE Part part(int64_t begin, int64_t end) {
    return {_mm256_andnot_si256(tail_mask(begin), tail_mask(end))};
  }
  static LAMINAE_INLINE Vec load_part(const float* p, Part part) {
    return {_mm256_maskload_ps(p, part.lanes)};
  }
  template <int N>
  static LAMINAE_INLINE Vec window(Vec a, Vec b) {
    if (N == 0) return a;
    if (N == 8) return b;
    const __m256i middle =
        _mm256_castps_si256(_mm256_permute2f128_ps(a.v, b.v, 0x21));  // a4..a7 b0..b3
    if (N == 4) return {_mm256_castsi256_ps(middle)};
    const __m256i low = N < 4 ? _mm256_castps_si256(a.v) : middle;
    const __m256i high = N < 4 ? middle : _mm256_castps_si256(b.v);
    return {_mm256_castsi256_ps(_mm256_alignr_epi8(high, low, N % 4 * 4))};
  }
  LAMINAE_INLINE Vec first(int64_t n) const {
    return {_mm256_and_ps(v, _mm256_castsi256_ps(tail_mask(n)))};
  }
  LAMINAE_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
  LAMINAE_INLINE void store_n(float* p, int64_t n) const {
    if (n >= kWidth) return store(p);
    _mm256_maskstore_ps(p, tail_mask(n), v);
  }
};

using Mask8 = Vec<float>::Mask;

LAMINAE_INLINE Mask8 operator&(Mask8 a, Mask8 b) { return {_mm256_and_ps(a.m, b.m)}; }
LAMINAE_INLINE Mask8 operator|(Mask8 a, Mask8 b) { return {_mm256_or_ps(a.m, b.m)}; }
LAMINAE_INLINE Mask8 operator!(Mask8 a) {
  return {_mm256_xor_ps(a.m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))};
}
LAMINAE_INLINE bool any(Mask8 a) { return _mm256_movemask_ps(a.m) != 0; }

LAMINAE_INLINE Vec<float> operator+(Vec<float> a, Vec<float> b) {
  return {_mm256_add_ps(a.v, b.v)};
}
LAMINAE_INLINE Vec<float> operator-(Vec<float> a, Vec<float> b) {
  return {_mm256_sub_ps(a.v, b.v)};
}
LAMINAE_INLINE Vec<float> operator*(Vec<float> a, Vec<float> b) {
  return {_mm256_mul_ps(a.v, b.v)};
}
LAMINAE_INLINE Vec<float> operator/(Vec<float> a, Vec<float> b) {
  return {_mm256_div_ps(a.v, b.v)};
}
LAMINAE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}
LAMINAE_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {_mm256_fnmadd_ps(a.v, b.v, c.v)};
}
LAMINAE_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return {_mm256_min_ps(a.v, b.v)}; }
LAMINAE_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return {_mm256_max_ps(a.v, b.v)}; }
LAMINAE_INLINE Vec<float> sqrt(Vec<float> a) { return {_mm256_sqrt_ps(a.v)}; }
LAMINAE_INLINE Vec<float> abs(Vec<float> a) {
  return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)};
}
LAMINAE_INLINE Vec<float> neg(Vec<float> a) { return {_mm256_xor_ps(_mm256_set1_ps(-0.0f), a.v)}; }
LAMINAE_INLINE Vec<float> copysign(Vec<float> a, Vec<float> s) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(sign, a.v), _mm256_and_ps(sign, s.v))};
}
LAMINAE_INLINE Vec<float> round(Vec<float> a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
LAMINAE_INLINE Vec<float> floor(Vec<float> a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)};
}
LAMINAE_INLINE Vec<float> ceil(Vec<float> a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)};
}

LAMINAE_INLINE Mask8 gt(Vec<float> a, Vec<float> b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)};
}
LAMINAE_INLINE Mask8 ge(Vec<float> a, Vec<float> b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)};
}
LAMINAE_INLINE Mask8 lt(Vec<float> a, Vec<float> b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)};
}
LAMINAE_INLINE Mask8 le(Vec<float> a, Vec<float> b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)};
}
LAMINAE_INLINE Mask8 eq(Vec<float> a, Vec<float> b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)};
}
LAMINAE_INLINE Mask8 unordered(Vec<float> a, Vec<float> b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_UNORD_Q)};
}
LAMINAE_INLINE Vec<float> select(Mask8 m, Vec<float> a, Vec<float> b) {
  return {_mm256_blendv_ps(b.v, a.v, m.m)};
}
LAMINAE_INLINE void store_mask(Mask8 m, uint8_t* p) {
  const __m256i wide = _mm256_castps_si256(m.m);
  const __m128i half =
      _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  const __m128i bytes = _mm_packs_epi16(half, half);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_and_si128(bytes, _mm_set1_epi8(1)));
}
LAMINAE_INLINE void store_bytes(Vec<float> a, uint8_t* p, int64_t n) {
  const __m256i wide = _mm256_cvtps_epi32(a.v);
  const __m128i half =
      _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  const int64_t bytes = _mm_cvtsi128_si64(_mm_packus_epi16(half, half));
  if (n == 8) {
    memcpy(p, &bytes, 8);
  } else {
    for (int64_t i = 0; i < n; i++) p[i] = static_cast<uint8_t>(bytes >> (8 * i));
  }
}
template <class V>
LAMINAE_INLINE typename V::Mask equal_bytes(const uint8_t* p, uint8_t code) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  const __m128i equal = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(static_cast<char>(code)));
  return {_mm256_castsi256_ps(_mm256_cvtepi8_epi32(equal))};
}

LAMINAE_INLINE float reduce_add(Vec<float> a) {
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
LAMINAE_INLINE float reduce_max(Vec<float> a) {
  const __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_max_ss(s2, _mm_movehdup_ps(s2)));
}
LAMINAE_INLINE float reduce_min(Vec<float> a) { return -reduce_max(neg(a)); }

LAMINAE_INLINE void deinterleave(Vec<float> a, Vec<float> b, Vec<float>& even, Vec<float>& odd) {
  // Per 128-bit half first (a0 a2 b0 b2 | a4 a6 b4 b6), then the middle 64-bit quarters change
  // place.
  const __m256d e = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0x88));
  const __m256d o = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0xdd));
  even.v = _mm256_castpd_ps(_mm256_permute4x64_pd(e, 0xd8));
  odd.v = _mm256_castpd_ps(_mm256_permute4x64_pd(o, 0xd8));
}
// Even elements in the order 0 1 4 5 2 3 6 7, and odd ones.
LAMINAE_INLINE void split(Vec<float> a, Vec<float> b, Vec<float>& even, Vec<float>& odd) {
  even.v = _mm256_shuffle_ps(a.v, b.v, 0x88);
  odd.v = _mm256_shuffle_ps(a.v, b.v, 0xdd);
}
LAMINAE_INLINE Vec<float> to_split(Vec<float> a) {
  return {_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(a.v), 0xd8))};
}
LAMINAE_INLINE Vec<float> from_split(Vec<float> a) { return to_split(a); }
LAMINAE_INLINE Vec<float> split_after(Vec<float> s, Vec<float> a) {
  const __m256i i = _mm256_setr_epi32(7, 0, 5, 2, 1, 4, 3, 6);
  return {_mm256_blend_ps(_mm256_permutevar8x32_ps(a.v, i), s.v, 1)};
}
LAMINAE_INLINE Vec<float> split_before(Vec<float> a, Vec<float> s) {
  const __m256i i = _mm256_setr_epi32(1, 4, 3, 6, 5, 2, 7, 0);
  return {_mm256_blend_ps(_mm256_permutevar8x32_ps(a.v, i), s.v, 0x80)};
}
LAMINAE_INLINE void interleave(Vec<float> a, Vec<float> b, Vec<float>& lo, Vec<float>& hi) {
  const __m256 l = _mm256_unpacklo_ps(a.v, b.v);  // a0 b0 a1 b1 | a4 b4 a5 b5
  const __m256 h = _mm256_unpackhi_ps(a.v, b.v);  // a2 b2 a3 b3 | a6 b6 a7 b7
  lo.v = _mm256_permute2f128_ps(l, h, 0x20);
  hi.v = _mm256_permute2f128_ps(l, h, 0x31);
}

LAMINAE_INLINE void transpose(Vec<float> (&r)[8]) {
  __m256 t[8];
  LAMINAE_UNROLL for (int i = 0; i < 8; i += 4) {
    const __m256 a = _mm256_unpacklo_ps(r[i].v, r[i + 1].v);
    const __m256 b = _mm256_unpackhi_ps(r[i].v, r[i + 1].v);
    const __m256 c = _mm256_unpacklo_ps(r[i + 2].v, r[i + 3].v);
    const __m256 d = _mm256_unpackhi_ps(r[i + 2].v, r[i + 3].v);
    t[i] = _mm256_shuffle_ps(a, c, 0x44);
    t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
    t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
    t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
  }
  LAMINAE_UNROLL for (int j = 0; j < 4; j++) {
    r[j].v = _mm256_permute2f128_ps(t[j], t[4 + j], 0x20);
    r[4 + j].v = _mm256_permute2f128_ps(t[j], t[4 + j], 0x31);
  }
}

// 2^n may lie outside the normal range (denormal results), so it is applied as two factors.
LAMINAE_INLINE Vec<float> scale_by_pow2(Vec<float> a, Vec<float> n) {
  const __m256i i = _mm256_cvtps_epi32(n.v);
  const __m256i half = _mm256_srai_epi32(i, 1);
  const __m256i rest = _mm256_sub_epi32(i, half);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256 f1 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const __m256 f2 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return {_mm256_mul_ps(_mm256_mul_ps(a.v, f1), f2)};
}
LAMINAE_INLINE Vec<float> exponent(Vec<float> a) {
  const __m256i e = _mm256_srli_epi32(_mm256_castps_si256(a.v), 23);
  return {_mm256_cvtepi32_ps(_mm256_sub_epi32(e, _mm256_set1_epi32(127)))};
}
LAMINAE_INLINE Vec<float> mantissa(Vec<float> a) {
  const __m256 low = _mm256_and_ps(a.v, _mm256_castsi256_ps(_mm256_set1_epi32(0x007fffff)));
  return {_mm256_or_ps(low, _mm256_set1_ps(1.0f))};
}
