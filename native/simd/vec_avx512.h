// Vec<float> of 16 lanes on AVX-512 F, BW, DQ, VL. Contract: simd/vec.h.

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kWidth = 16;
  static constexpr bool kLaneFma = false;
  struct Mask {
    __mmask16 m;
  };

  __m512 v;

  static LAMINAE_INLINE Vec zero() { return {_mm512_setzero_ps()}; }
  static LAMINAE_INLINE Vec set1(float s) { return {_mm512_set1_ps(s)}; }
  static LAMINAE_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static LAMINAE_INLINE Vec load_stream(const float* p) {
    const __m512 low = _mm512_castps256_ps512(_mm256_loadu_ps(p));
    return {_mm512_insertf32x8(low, _mm256_loadu_ps(p + 8), 1)};
  }
  static LAMINAE_INLINE Vec load_n(const float* p, int64_t n) {
    return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p)};
  }
  static constexpr bool kCheapParts = true;
  struct Part {
    __mmask16 lanes;
  };
  static LAMINAE_INLINE Part part(int64_t begin, int64_t end) {
    return {static_cast<__mmask16>(((1u << end) - 1u) & (~0u << begin))};
  }
  static LAMINAE_INLINE Vec load_part(const float* p, Part part) {
    return {_mm512_maskz_loadu_ps(part.lanes, p)};
  }
  template <int N>
  static LAMINAE_INLINE Vec window(Vec a, Vec b) {
    if (N == 0) return a;
    if (N == 16) return b;
    return {_mm512_castsi512_ps(
        _mm512_alignr_epi32(_mm512_castps_si512(b.v), _mm512_castps_si512(a.v), N % 16))};
  }
  LAMINAE_INLINE Vec first(int64_t n) const {
    return {_mm512_maskz_mov_ps(static_cast<__mmask16>((1u << n) - 1u), v)};
  }
  LAMINAE_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  LAMINAE_INLINE void store_n(float* p, int64_t n) const {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), v);
  }
};

using Mask16 = Vec<float>::Mask;

LAMINAE_INLINE Mask16 operator&(Mask16 a, Mask16 b) { return {_kand_mask16(a.m, b.m)}; }
LAMINAE_INLINE Mask16 operator|(Mask16 a, Mask16 b) { return {_kor_mask16(a.m, b.m)}; }
LAMINAE_INLINE Mask16 operator!(Mask16 a) { return {_knot_mask16(a.m)}; }
LAMINAE_INLINE bool any(Mask16 a) { return a.m != 0; }

LAMINAE_INLINE Vec<float> operator+(Vec<float> a, Vec<float> b) {
  return {_mm512_add_ps(a.v, b.v)};
}
LAMINAE_INLINE Vec<float> operator-(Vec<float> a, Vec<float> b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
LAMINAE_INLINE Vec<float> operator*(Vec<float> a, Vec<float> b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
LAMINAE_INLINE Vec<float> operator/(Vec<float> a, Vec<float> b) {
  return {_mm512_div_ps(a.v, b.v)};
}
LAMINAE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
LAMINAE_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {_mm512_fnmadd_ps(a.v, b.v, c.v)};
}
LAMINAE_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return {_mm512_min_ps(a.v, b.v)}; }
LAMINAE_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return {_mm512_max_ps(a.v, b.v)}; }
LAMINAE_INLINE Vec<float> sqrt(Vec<float> a) { return {_mm512_sqrt_ps(a.v)}; }
LAMINAE_INLINE Vec<float> abs(Vec<float> a) {
  return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v)};
}
LAMINAE_INLINE Vec<float> neg(Vec<float> a) { return {_mm512_xor_ps(_mm512_set1_ps(-0.0f), a.v)}; }
LAMINAE_INLINE Vec<float> copysign(Vec<float> a, Vec<float> s) {
  const __m512 sign = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(sign, a.v), _mm512_and_ps(sign, s.v))};
}
LAMINAE_INLINE Vec<float> round(Vec<float> a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
LAMINAE_INLINE Vec<float> floor(Vec<float> a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)};
}
LAMINAE_INLINE Vec<float> ceil(Vec<float> a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)};
}

LAMINAE_INLINE Mask16 gt(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)};
}
LAMINAE_INLINE Mask16 ge(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)};
}
LAMINAE_INLINE Mask16 lt(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)};
}
LAMINAE_INLINE Mask16 le(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)};
}
LAMINAE_INLINE Mask16 eq(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)};
}
LAMINAE_INLINE Mask16 unordered(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_UNORD_Q)};
}
LAMINAE_INLINE Vec<float> select(Mask16 m, Vec<float> a, Vec<float> b) {
  return {_mm512_mask_blend_ps(m.m, b.v, a.v)};
}
LAMINAE_INLINE void store_mask(Mask16 m, uint8_t* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_maskz_set1_epi8(m.m, 1));
}
LAMINAE_INLINE void store_bytes(Vec<float> a, uint8_t* p, int64_t n) {
  _mm512_mask_cvtepi32_storeu_epi8(p, static_cast<__mmask16>((1u << n) - 1u),
                                   _mm512_cvtps_epi32(a.v));
}
template <class V>
LAMINAE_INLINE typename V::Mask equal_bytes(const uint8_t* p, uint8_t code) {
  return {_mm_cmpeq_epi8_mask(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)),
                              _mm_set1_epi8(static_cast<char>(code)))};
}

LAMINAE_INLINE float reduce_add(Vec<float> a) {
  const __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
LAMINAE_INLINE float reduce_max(Vec<float> a) {
  const __m256 s8 = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_max_ss(s2, _mm_movehdup_ps(s2)));
}
LAMINAE_INLINE float reduce_min(Vec<float> a) { return -reduce_max(neg(a)); }

LAMINAE_INLINE void deinterleave(Vec<float> a, Vec<float> b, Vec<float>& even, Vec<float>& odd) {
  const __m512i i = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  even.v = _mm512_permutex2var_ps(a.v, i, b.v);
  odd.v = _mm512_permutex2var_ps(a.v, _mm512_add_epi32(i, _mm512_set1_epi32(1)), b.v);
}
// Even elements in the order 0 1 8 9 2 3 10 11 4 5 12 13 6 7 14 15, and odd ones.
LAMINAE_INLINE void split(Vec<float> a, Vec<float> b, Vec<float>& even, Vec<float>& odd) {
  even.v = _mm512_shuffle_ps(a.v, b.v, 0x88);
  odd.v = _mm512_shuffle_ps(a.v, b.v, 0xdd);
}
LAMINAE_INLINE Vec<float> to_split(Vec<float> a) {
  const __m512i i = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
  return {_mm512_castpd_ps(_mm512_permutexvar_pd(i, _mm512_castps_pd(a.v)))};
}
LAMINAE_INLINE Vec<float> from_split(Vec<float> a) {
  const __m512i i = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  return {_mm512_castpd_ps(_mm512_permutexvar_pd(i, _mm512_castps_pd(a.v)))};
}
LAMINAE_INLINE Vec<float> split_after(Vec<float> s, Vec<float> a) {
  const __m512i i = _mm512_setr_epi32(15, 0, 13, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14);
  return {_mm512_mask_permutexvar_ps(s.v, 0xfffe, i, a.v)};
}
LAMINAE_INLINE Vec<float> split_before(Vec<float> a, Vec<float> s) {
  const __m512i i = _mm512_setr_epi32(1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 2, 15, 0);
  return {_mm512_mask_permutexvar_ps(s.v, 0x7fff, i, a.v)};
}
LAMINAE_INLINE void interleave(Vec<float> a, Vec<float> b, Vec<float>& lo, Vec<float>& hi) {
  const __m512i i = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  lo.v = _mm512_permutex2var_ps(a.v, i, b.v);
  hi.v = _mm512_permutex2var_ps(a.v, _mm512_add_epi32(i, _mm512_set1_epi32(8)), b.v);
}

// 4x4 transposes inside the 128-bit blocks, then a 4x4 transpose of the blocks: 64 shuffles.
LAMINAE_INLINE void transpose(Vec<float> (&r)[16]) {
  __m512 t[16];
  LAMINAE_UNROLL for (int i = 0; i < 16; i += 4) {
    const __m512 a = _mm512_unpacklo_ps(r[i].v, r[i + 1].v);
    const __m512 b = _mm512_unpackhi_ps(r[i].v, r[i + 1].v);
    const __m512 c = _mm512_unpacklo_ps(r[i + 2].v, r[i + 3].v);
    const __m512 d = _mm512_unpackhi_ps(r[i + 2].v, r[i + 3].v);
    t[i] = _mm512_shuffle_ps(a, c, 0x44);
    t[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
    t[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
    t[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
  }
  // Block q of t[4 p + j] holds column 4 q + j of rows 4 p .. 4 p + 3.
  LAMINAE_UNROLL for (int j = 0; j < 4; j++) {
    const __m512 a = _mm512_shuffle_f32x4(t[j], t[4 + j], 0x88);
    const __m512 b = _mm512_shuffle_f32x4(t[j], t[4 + j], 0xdd);
    const __m512 c = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0x88);
    const __m512 d = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0xdd);
    r[j].v = _mm512_shuffle_f32x4(a, c, 0x88);
    r[4 + j].v = _mm512_shuffle_f32x4(b, d, 0x88);
    r[8 + j].v = _mm512_shuffle_f32x4(a, c, 0xdd);
    r[12 + j].v = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}

LAMINAE_INLINE Vec<float> scale_by_pow2(Vec<float> a, Vec<float> n) {
  return {_mm512_scalef_ps(a.v, n.v)};
}
LAMINAE_INLINE Vec<float> exponent(Vec<float> a) { return {_mm512_getexp_ps(a.v)}; }
LAMINAE_INLINE Vec<float> mantissa(Vec<float> a) {
  return {_mm512_getmant_ps(a.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src)};
}
