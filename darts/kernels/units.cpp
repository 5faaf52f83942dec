// Units of a searched cell, channels last: relu of an affine map, depthwise convolution, pointwise
// convolution; with their first and second derivatives. See node.cpp for what is made of them.
//
// A dot (x_t) is a tangent: the derivative along one direction. Every image is taken apart into
// maps: blocks of V channels, each a plane of pixels with zeros around it; a stride of 2 makes four
// planes, one a parity, so that every tap of every convolution is one offset into a plane, and all
// convolutions and their transposes are the same loop. Images are dealt to a fixed number of
// chunks, whose sums are added in order: the bits do not depend on the number of threads.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

namespace {

constexpr long CHUNKS = 16;

// A block is one register: a vector of two is kept in memory by the compiler, four times slower.
#ifdef __AVX512F__
constexpr long REGISTER = 64;
#else
constexpr long REGISTER = 32;
#endif

template <class T> struct Vec {
  static constexpr long V = REGISTER / sizeof(T);
  typedef T type __attribute__((vector_size(REGISTER)));
};

inline long up(long a, long b) { return (a + b - 1) / b; }

// A growing scratch memory, one for each thread.
struct Scratch {
  char *base = nullptr;
  size_t size = 0, used = 0;
  ~Scratch() { std::free(base); }
  void reserve(size_t bytes) {
    if (bytes > size) {
      std::free(base);
      size = up(bytes, 4096) * 4096;
      base = static_cast<char *>(std::aligned_alloc(4096, size));
    }
    used = 0;
  }
  template <class X> X *take(long count) {
    X *p = reinterpret_cast<X *>(base + used);
    used += up(count * long(sizeof(X)), 64) * 64;
    return p;
  }
};
thread_local Scratch scratch;

// Geometry of one depthwise convolution (K = 0: none) between maps.
struct Shape {
  long n, h, w, cin, cout, k, stride, dilation;
  long pad, hp, wp, phases, ho, wo, q, uh, uw;
  Shape(const long *d)
      : n(d[0]), h(d[1]), w(d[2]), cin(d[3]), cout(d[4]), k(d[5]), stride(d[6]), dilation(d[7]) {
    pad = k ? dilation * (k / 2) : 0;
    phases = stride * stride;
    hp = up(h + 2 * pad, stride), wp = up(w + 2 * pad, stride);
    ho = up(h, stride), wo = up(w, stride);
    q = 2 * pad / stride;
    uh = hp + q, uw = wp + q;
  }
  long taps() const { return k * k; }
  long in_area() const { return phases * hp * wp; }  // of a padded input map
  long out_area() const { return ho * wo; }          // of an output map without padding
  long back_area() const { return uh * uw; }         // of a padded output map
};

// Where pixel (y, x) lies in a padded input map.
template <int S> inline long place(const Shape &s, long y, long x) {
  unsigned long py = y + s.pad, px = x + s.pad;
  return ((py % S * S + px % S) * s.hp + py / S) * s.wp + px / S;
}

struct Tap {
  long phase, row, column;
};

inline Tap tap_of(const Shape &s, long t) {
  long y = t / s.k * s.dilation, x = t % s.k * s.dilation;
  return {y % s.stride * s.stride + x % s.stride, y / s.stride, x / s.stride};
}

// F: channels fill whole blocks, so that no load or store is partial.
template <class T, bool F> struct Kernels {
  static constexpr long V = Vec<T>::V;
  using vec = typename Vec<T>::type;

  static vec load(const T *p, long lanes) {
    vec v = {};
    if (F || lanes >= V)
      std::memcpy(&v, p, sizeof v);
    else if (lanes == V / 2)  // four channels: of known size it is one instruction, and no call
      std::memcpy(&v, p, V / 2 * sizeof(T));
    else
      std::memcpy(&v, p, lanes * sizeof(T));
    return v;
  }
  static void store(T *p, vec v, long lanes) {
    if (F || lanes >= V)
      std::memcpy(p, &v, sizeof v);
    else if (lanes == V / 2)
      std::memcpy(p, &v, V / 2 * sizeof(T));
    else
      std::memcpy(p, &v, lanes * sizeof(T));
  }
  static void clear(vec *p, long count) { std::memset(p, 0, count * sizeof(vec)); }

  // dst[y][x] (+)= Σ_t w[t] · src[offset[t] + y·pitch + x]; taps whose source row is padding skip.
  template <int R>
  static inline void tile(vec *dst, const vec *src, int count, const long *off, const vec *const *w,
                          bool add) {
    vec acc[R];
    for (int r = 0; r < R; ++r) acc[r] = add ? dst[r] : vec{};
    for (int t = 0; t < count; ++t) {
      const vec *s = src + off[t];
      vec weight = *w[t];
      for (int r = 0; r < R; ++r) acc[r] += weight * s[r];
    }
    for (int r = 0; r < R; ++r) dst[r] = acc[r];
  }
  static void correlate(vec *dst, long dpitch, long rows, long columns, const vec *src, long pitch,
                        int taps, const long *off, const long *row, const vec *w, long low,
                        long high, bool add) {
    long active[64];
    const vec *weight[64];
    for (long y = 0; y < rows; ++y) {
      int count = 0;
      for (int t = 0; t < taps; ++t)
        if (y + row[t] >= low && y + row[t] < high)
          active[count] = off[t], weight[count++] = w + t;
      vec *d = dst + y * dpitch;
      const vec *s = src + y * pitch;
      long x = 0;
      for (; x + 8 <= columns; x += 8) tile<8>(d + x, s + x, count, active, weight, add);
      for (; x + 4 <= columns; x += 4) tile<4>(d + x, s + x, count, active, weight, add);
      for (; x < columns; ++x) tile<1>(d + x, s + x, count, active, weight, add);
    }
  }
  // u (+)= D ∗ h on one block.
  static void depthwise(const Shape &s, vec *u, const vec *h, const vec *w, bool add) {
    long off[64], row[64];
    for (long t = 0; t < s.taps(); ++t) {
      Tap p = tap_of(s, t);
      off[t] = (p.phase * s.hp + p.row) * s.wp + p.column;
      row[t] = s.stride == 1 ? p.row : s.hp;
    }
    if (s.stride == 1)
      correlate(u, s.wo, s.ho, s.wo, h, s.wp, s.taps(), off, row, w, s.pad, s.pad + s.h, add);
    else
      correlate(u, s.wo, s.ho, s.wo, h, s.wp, s.taps(), off, row, w, 0, 1 << 30, add);
  }
  // h̄ (+)= Dᵀ ∗ ū on one block: ū is padded, h̄ has the layout of h; its padding is not computed.
  static void depthwise_transposed(const Shape &s, vec *hb, const vec *ub, const vec *w, bool add) {
    for (long a = 0; a < s.stride; ++a)
      for (long b = 0; b < s.stride; ++b) {
        long off[64], row[64];
        vec weight[64];
        int count = 0;
        for (long t = 0; t < s.taps(); ++t) {
          Tap p = tap_of(s, t);
          if (p.phase != a * s.stride + b) continue;
          off[count] = (s.q - p.row) * s.uw + s.q - p.column;
          row[count] = s.q - p.row;
          weight[count++] = w[t];
        }
        long top = up(std::max(s.pad - a, 0L), s.stride), left = up(std::max(s.pad - b, 0L), s.stride);
        long rows = (s.pad + s.h - 1 - a) / s.stride - top + 1;
        long columns = (s.pad + s.w - 1 - b) / s.stride - left + 1;
        if (s.pad + s.h - 1 < a || s.pad + s.w - 1 < b) continue;
        vec *d = hb + ((a * s.stride + b) * s.hp + top) * s.wp + left;
        correlate(d, s.wp, rows, columns, ub + top * s.uw + left, s.uw, count, off, row, weight,
                  s.q - top, s.q - top + s.ho, add);
      }
  }
  // D̄[t] += Σ h[t + pixel] · ū[pixel] on one block, G taps at a time.
  template <int G>
  static void tap_sums(const Shape &s, vec *db, const vec *h, const vec *ub) {
    for (long t = 0; t < s.taps(); t += G) {
      const vec *from[G];
      vec acc[G];
      for (int g = 0; g < G; ++g) {
        Tap p = tap_of(s, t + g);
        from[g] = h + (p.phase * s.hp + p.row) * s.wp + p.column;
        acc[g] = db[t + g];
      }
      for (long y = 0; y < s.ho; ++y) {
        const vec *u = ub + (y + s.q) * s.uw + s.q;
        if (G != 9 && s.stride == 1) {  // the taps of one row: skip where it lies in the padding
          long source = y + t / s.k * s.dilation;
          if (source < s.pad || source >= s.pad + s.h) continue;
        }
        for (long x = 0; x < s.wo; ++x) {
          vec v = u[x];
          for (int g = 0; g < G; ++g) acc[g] += v * from[g][y * s.wp + x];
        }
      }
      for (int g = 0; g < G; ++g) db[t + g] = acc[g];
    }
  }
  static void depthwise_weights(const Shape &s, vec *db, const vec *h, const vec *ub) {
    if (s.k == 3) tap_sums<9>(s, db, h, ub);
    if (s.k == 5) tap_sums<5>(s, db, h, ub);
    if (s.k == 7) tap_sums<7>(s, db, h, ub);
  }

  // dst[b][p] (+)= Σ_c src[c][p] · m[c][b] for a row of pixels; c scalars, b blocks.
  template <int R, int B>
  static inline void product_tile(vec *dst, long darea, const vec *src, long sarea, long channels,
                                  const vec *m, long blocks, bool add) {
    vec acc[R][B];
    for (int r = 0; r < R; ++r)
      for (int b = 0; b < B; ++b) acc[r][b] = add ? dst[b * darea + r] : vec{};
    for (long c0 = 0; c0 < channels; c0 += V) {
      const T *s = reinterpret_cast<const T *>(src + c0 / V * sarea);
      long lanes = std::min(V, channels - c0);
      for (long lane = 0; lane < lanes; ++lane) {
        const vec *row = m + (c0 + lane) * blocks;
        for (int r = 0; r < R; ++r)
          for (int b = 0; b < B; ++b) acc[r][b] += s[r * V + lane] * row[b];
      }
    }
    for (int r = 0; r < R; ++r)
      for (int b = 0; b < B; ++b) dst[b * darea + r] = acc[r][b];
  }
  template <int B>
  static void product_blocks(vec *dst, long darea, long dpitch, const vec *src, long sarea, long rows,
                             long columns, long channels, const vec *m, long blocks, bool add) {
    constexpr int R = B == 1 ? 8 : B == 2 ? 8 : 4;
    for (long y = 0; y < rows; ++y) {
      vec *d = dst + y * dpitch;
      const vec *s = src + y * columns;
      long x = 0;
      for (; x + R <= columns; x += R)
        product_tile<R, B>(d + x, darea, s + x, sarea, channels, m, blocks, add);
      for (; x < columns; ++x)
        product_tile<1, B>(d + x, darea, s + x, sarea, channels, m, blocks, add);
    }
  }
  // dst: blocks planes of `darea`, rows `dpitch` apart; src: planes of `sarea`, rows dense.
  static void product(vec *dst, long darea, long dpitch, const vec *src, long sarea, long rows,
                      long columns, long channels, const vec *m, long blocks, bool add) {
    if (dpitch == columns) columns *= rows, dpitch = columns, rows = 1;
    for (long b = 0; b < blocks;) {
      if (blocks - b >= 4) {
        product_blocks<4>(dst + b * darea, darea, dpitch, src, sarea, rows, columns, channels, m + b, blocks, add);
        b += 4;
      } else if (blocks - b >= 2) {
        product_blocks<2>(dst + b * darea, darea, dpitch, src, sarea, rows, columns, channels, m + b, blocks, add);
        b += 2;
      } else {
        product_blocks<1>(dst + b * darea, darea, dpitch, src, sarea, rows, columns, channels, m + b, blocks, add);
        b += 1;
      }
    }
  }
  // sums[c][b] += Σ_p scalars[c][p] · vectors[b][p].
  template <int C, int B>
  static inline void outer_tile(vec *sums, const T *scalars, const vec *vectors, long area, long pixels,
                                long blocks) {
    vec acc[C][B];
    for (int c = 0; c < C; ++c)
      for (int b = 0; b < B; ++b) acc[c][b] = sums[c * blocks + b];
    for (long p = 0; p < pixels; ++p)
      for (int b = 0; b < B; ++b) {
        vec v = vectors[b * area + p];
        for (int c = 0; c < C; ++c) acc[c][b] += scalars[p * V + c] * v;
      }
    for (int c = 0; c < C; ++c)
      for (int b = 0; b < B; ++b) sums[c * blocks + b] = acc[c][b];
  }
  static void outer(vec *sums, const vec *scalars, long sarea, long channels, const vec *vectors,
                    long area, long pixels, long blocks) {
    constexpr long C = std::min(V, 8L);  // a group of channels stays within a block
    for (long c = 0; c < channels; c += C) {
      const T *s = reinterpret_cast<const T *>(scalars + c / V * sarea) + c % V;
      long b = 0;
      for (; b + 2 <= blocks; b += 2)
        outer_tile<C, 2>(sums + c * blocks + b, s, vectors + b * area, area, pixels, blocks);
      if (b < blocks)
        outer_tile<C, 1>(sums + c * blocks + b, s, vectors + b * area, area, pixels, blocks);
    }
  }

  // Weights in the layouts of the loops above.
  struct Weights {
    std::unique_ptr<char, decltype(&std::free)> memory{nullptr, &std::free};
    vec *depthwise = nullptr, *forward = nullptr, *backward = nullptr;
    Weights(const Shape &s, const T *d, const T *p) {
      if (!p) return;
      long bi = up(s.cin, V), bo = up(s.cout, V), taps = bi * s.taps(), size = taps + 2 * bi * V * bo;
      memory.reset(static_cast<char *>(std::aligned_alloc(64, up(size * sizeof(vec), 64) * 64)));
      depthwise = reinterpret_cast<vec *>(memory.get());
      forward = depthwise + taps, backward = forward + bi * V * bo;
      clear(depthwise, size);
      T *dw = reinterpret_cast<T *>(depthwise), *f = reinterpret_cast<T *>(forward);
      T *b = reinterpret_cast<T *>(backward);
      for (long c = 0; c < s.cin; ++c)
        for (long t = 0; t < s.taps(); ++t) dw[(c / V * s.taps() + t) * V + c % V] = d[c * s.taps() + t];
      for (long o = 0; o < s.cout; ++o)
        for (long i = 0; i < s.cin; ++i) {
          f[i * bo * V + o] = p[o * s.cin + i];
          b[o * bi * V + i] = p[o * s.cin + i];
        }
    }
  };

  // Input maps: h = relu(a·x + b), and its tangent where x > 0 of r·ẋ + e·x + f; pre = [a b r e f].
  template <int S>
  static void fill_at(const Shape &s, vec *h, vec *ht, const T *x, const T *xt, const T *pre) {
    for (long c0 = 0; c0 < s.cin; c0 += V) {
      long lanes = std::min(V, s.cin - c0);
      vec a{}, b{}, r{}, e{}, f{};
      if (pre) {
        a = load(pre + c0, lanes), b = load(pre + s.cin + c0, lanes);
        if (ht) {
          r = load(pre + 2 * s.cin + c0, lanes), e = load(pre + 3 * s.cin + c0, lanes);
          f = load(pre + 4 * s.cin + c0, lanes);
        }
      }
      long plane = c0 / V * s.in_area();
      for (long y = 0; y < s.h; ++y)
        for (long z = 0; z < s.w; ++z) {
          long from = (y * s.w + z) * s.cin + c0, to = plane + place<S>(s, y, z);
          vec v = load(x + from, lanes), n = pre ? a * v + b : v;
          h[to] = n < vec{} ? vec{} : n;  // NaN stays NaN
          if (ht) {
            vec d = load(xt + from, lanes);
            if (pre) d = r * d + e * v + f;
            ht[to] = n > vec{} ? d : vec{};
          }
        }
    }
  }
  static void fill(const Shape &s, vec *h, vec *ht, const T *x, const T *xt, const T *pre) {
    s.stride == 1 ? fill_at<1>(s, h, ht, x, xt, pre) : fill_at<2>(s, h, ht, x, xt, pre);
  }

  // Moments of one image about its own means: mean, Σ(y−m)², mean_t, Σ(y−m)(ẏ−m_t); one block, whose
  // pixels are `step` apart. Four sums at a time hide the latency of an addition.
  static void moments(const T *y, const T *yt, long step, long pixels, long lanes, double *out, long channels) {
    vec sum[4] = {}, sum_t[4] = {}, square[4] = {}, cross[4] = {};
    for (long p = 0; p < pixels; ++p) {
      sum[p % 4] += load(y + p * step, lanes);
      if (yt) sum_t[p % 4] += load(yt + p * step, lanes);
    }
    vec mean = (sum[0] + sum[1] + (sum[2] + sum[3])) / T(pixels);
    vec mean_t = (sum_t[0] + sum_t[1] + (sum_t[2] + sum_t[3])) / T(pixels);
    for (long p = 0; p < pixels; ++p) {
      vec d = load(y + p * step, lanes) - mean;
      square[p % 4] += d * d;
      if (yt) cross[p % 4] += d * (load(yt + p * step, lanes) - mean_t);
    }
    for (int i = 1; i < 4; ++i) square[0] += square[i], cross[0] += cross[i];
    for (long l = 0; l < lanes; ++l) {
      double *o = out + l;
      o[0] = mean[l], o[channels] = square[0][l], o[2 * channels] = mean_t[l], o[3 * channels] = cross[0][l];
    }
  }
  // All images' moments into one: [mean, variance, mean_t, covariance]. An image has `fold` parts of
  // `pixels` each, whose moments lie beside each other.
  static void merge(const double *parts, long images, long pixels, long channels, double *out, long fold = 1) {
    for (long c = 0; c < channels; ++c) {
      double mean = 0, square = 0, mean_t = 0, cross = 0;
      for (long n = 0; n < images * fold; ++n) {
        const double *p = parts + n / fold * 4 * fold * channels + n % fold * channels + c;
        double d = p[0] - mean, d_t = p[2 * fold * channels] - mean_t, share = 1.0 / (n + 1);
        mean += d * share, mean_t += d_t * share;
        square += p[fold * channels] + d * d * pixels * n * share;
        cross += p[3 * fold * channels] + d * d_t * pixels * n * share;
      }
      double total = double(images) * fold * pixels;
      out[c] = mean, out[channels + c] = square / total;
      out[2 * channels + c] = mean_t, out[3 * channels + c] = cross / total;
    }
  }
  // Here a fold is already taken: an image is `pixels` of fold · `channels` channels.
  static void moments_of(const T *y, const T *yt, long images, long pixels, long channels, long fold,
                         double *out, int threads) {
    long width = fold * channels;
    std::vector<double> parts(images * 4 * width);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (long n = 0; n < images; ++n)
      for (long c0 = 0; c0 < width; c0 += V) {
        long at = n * pixels * width + c0;
        moments(y + at, yt ? yt + at : nullptr, width, pixels, std::min(V, width - c0),
                parts.data() + n * 4 * width + c0, width);
      }
    merge(parts.data(), images, pixels, channels, out, fold);
  }

  static void write(T *y, const vec *map, long area, long pixels, long channels) {
    for (long c0 = 0; c0 < channels; c0 += V) {
      long lanes = std::min(V, channels - c0);
      const vec *m = map + c0 / V * area;
      for (long p = 0; p < pixels; ++p) store(y + p * channels + c0, m[p], lanes);
    }
  }

  // Output maps and, unless out is null, their moments.
  static void unit_forward(const long *dims, const T *x, const T *xt, const T *pre, const T *d, const T *dt,
                           const T *p, const T *pt, T *y, T *yt, double *out, int threads) {
    Shape s(dims);
    long bi = up(s.cin, V), bo = up(s.cout, V), tangents = xt ? 2 : 1;
    long pixels = s.out_area();
    std::vector<double> parts(s.n * 4 * s.cout);
    Weights weights(s, d, p), tangent(s, dt, xt ? pt : nullptr);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      scratch.reserve(sizeof(vec) * (tangents * (bi * s.in_area() + (bi + bo) * pixels + 4) + 64));
      vec *h = scratch.take<vec>(bi * s.in_area()), *ht = nullptr;
      vec *u = h, *ut = nullptr, *out_map = scratch.take<vec>(bo * pixels), *out_map_t = nullptr;
      if (s.k) u = scratch.take<vec>(bi * pixels);
      clear(h, bi * s.in_area());
      if (xt) {
        ht = scratch.take<vec>(bi * s.in_area());
        clear(ht, bi * s.in_area());
        ut = s.k ? scratch.take<vec>(bi * pixels) : ht;
        out_map_t = scratch.take<vec>(bo * pixels);
      }
#pragma omp for schedule(static)
      for (long n = 0; n < s.n; ++n) {
        long in = n * s.h * s.w * s.cin, to = n * pixels * s.cout;
        fill(s, h, ht, x + in, xt ? xt + in : nullptr, pre);
        for (long b = 0; b < bi && s.k; ++b) {
          const vec *hb = h + b * s.in_area();
          depthwise(s, u + b * pixels, hb, weights.depthwise + b * s.taps(), false);
          if (xt) {
            depthwise(s, ut + b * pixels, ht + b * s.in_area(), weights.depthwise + b * s.taps(), false);
            depthwise(s, ut + b * pixels, hb, tangent.depthwise + b * s.taps(), true);
          }
        }
        product(out_map, pixels, s.wo, u, pixels, s.ho, s.wo, s.cin, weights.forward, bo, false);
        write(y + to, out_map, pixels, pixels, s.cout);
        if (xt) {
          product(out_map_t, pixels, s.wo, ut, pixels, s.ho, s.wo, s.cin, weights.forward, bo, false);
          product(out_map_t, pixels, s.wo, u, pixels, s.ho, s.wo, s.cin, tangent.forward, bo, true);
          write(yt + to, out_map_t, pixels, pixels, s.cout);
        }
        for (long c0 = 0; c0 < s.cout && out; c0 += V) {
          double *part = parts.data() + n * 4 * s.cout + c0;
          long lanes = std::min(V, s.cout - c0);
          const T *map = reinterpret_cast<const T *>(out_map + c0 / V * pixels);
          const T *map_t = xt ? reinterpret_cast<const T *>(out_map_t + c0 / V * pixels) : nullptr;
          moments(map, map_t, V, pixels, lanes, part, s.cout);
        }
      }
    }
    if (out) merge(parts.data(), s.n, pixels, s.cout, out);
  }

  // ȳ = k0 + kg·g + kp·p + ky·y + kt·ẏ and, with a tangent, ẏ̄ = l0 + lp·p + ly·y, per channel.
  static void adjoints(const Shape &s, vec *yb, vec *ytb, const T *g, const T *p, const T *y, const T *yt,
                       const T *k) {
    long pixels = s.out_area();
    for (long c0 = 0; c0 < s.cout; c0 += V) {
      long lanes = std::min(V, s.cout - c0);
      vec c[8];
      for (int i = 0; i < (p ? 8 : 4); ++i) c[i] = load(k + i * s.cout + c0, lanes);
      vec *a = yb + c0 / V * pixels, *b = ytb ? ytb + c0 / V * pixels : nullptr;
      for (long i = 0; i < pixels; ++i) {
        long at = i * s.cout + c0;
        vec vy = load(y + at, lanes), v = c[0] + c[3] * vy;
        if (g) v += c[1] * load(g + at, lanes);
        if (p) {
          vec vp = load(p + at, lanes);
          v += c[2] * vp + c[4] * load(yt + at, lanes);
          b[i] = c[5] + c[6] * vp + c[7] * vy;
        }
        a[i] = v;
      }
    }
  }

  // What leaves a unit: t = h̄ where x > 0, added to or written on x̄; sums Σt, Σt·x and, with a
  // tangent, Σtp, Σtp·x, Σtp·ẋ.
  template <int S>
  static void leave_at(const Shape &s, const vec *hb, const vec *htb, const T *x, const T *xt, const T *pre,
                       T *xb, T *xtb, bool add, bool add_t, double *sums) {
    for (long c0 = 0; c0 < s.cin; c0 += V) {
      long lanes = std::min(V, s.cin - c0), plane = c0 / V * s.in_area();
      vec a{}, b{}, sum[5] = {};
      if (pre) a = load(pre + c0, lanes), b = load(pre + s.cin + c0, lanes);
      for (long y = 0; y < s.h; ++y)
        for (long z = 0; z < s.w; ++z) {
          long at = (y * s.w + z) * s.cin + c0, from = plane + place<S>(s, y, z);
          vec v = load(x + at, lanes), n = pre ? a * v + b : v;
          vec t = n > vec{} ? hb[from] : vec{};
          if (sums) sum[0] += t, sum[1] += t * v;
          store(xb + at, add ? t + load(xb + at, lanes) : t, lanes);
          if (htb) {
            vec tp = n > vec{} ? htb[from] : vec{};
            if (sums) sum[2] += tp, sum[3] += tp * v, sum[4] += tp * load(xt + at, lanes);
            if (xtb) store(xtb + at, add_t ? tp + load(xtb + at, lanes) : tp, lanes);
          }
        }
      if (sums)
        for (int i = 0; i < (htb ? 5 : 2); ++i)
          for (long l = 0; l < lanes; ++l) sums[i * s.cin + c0 + l] += sum[i][l];
    }
  }

  static void leave(const Shape &s, const vec *hb, const vec *htb, const T *x, const T *xt, const T *pre,
                    T *xb, T *xtb, bool add, bool add_t, double *sums) {
    s.stride == 1 ? leave_at<1>(s, hb, htb, x, xt, pre, xb, xtb, add, add_t, sums)
                  : leave_at<2>(s, hb, htb, x, xt, pre, xb, xtb, add, add_t, sums);
  }

  static void unit_backward(const long *dims, const T *x, const T *xt, const T *pre, const T *d, const T *dt,
                            const T *p, const T *pt, const T *gz, const T *gp, const T *y, const T *yt,
                            const T *k, T *xb, T *xtb, int add, T *db, T *pb, double *sums, int threads) {
    Shape s(dims);
    long bi = up(s.cin, V), bo = up(s.cout, V), chunks = std::min(s.n, CHUNKS), tangents = gp ? 2 : 1;
    long pixels = s.out_area(), rows = up(s.cout, 8) * 8;
    long weight_size = bi * s.taps() + rows * bi;  // of the sums for D̄ and P̄ of a chunk
    std::vector<T> parts(pb ? chunks * weight_size * V : 0);
    std::vector<double> sum_parts(sums ? chunks * 5 * s.cin : 0);
    Weights weights(s, d, p), tangent(s, dt, gp ? pt : nullptr);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      scratch.reserve(sizeof(vec) *
                      (weight_size + 64 +
                       tangents * (2 * bi * s.in_area() + (bi + bo) * pixels + bi * s.back_area() + 8)));
      auto map = [&](long size) {
        vec *m = scratch.take<vec>(size);
        clear(m, size);
        return m;
      };
      vec *h[2] = {}, *u[2] = {}, *yb[2] = {}, *ub[2] = {}, *hb[2] = {};
      for (int i = 0; i < tangents; ++i) {
        yb[i] = map(bo * pixels);
        hb[i] = map(bi * s.in_area());
        ub[i] = s.k ? map(bi * s.back_area()) : hb[i];
        if (pb) {
          h[i] = map(bi * s.in_area());
          u[i] = s.k ? map(bi * pixels) : h[i];
        }
      }
      vec *dsum = map(weight_size), *psum = dsum + bi * s.taps();
      vec *inner[2] = {ub[0] + (s.k ? s.q * s.uw + s.q : 0), gp ? ub[1] + (s.k ? s.q * s.uw + s.q : 0) : nullptr};
      long area = s.k ? s.back_area() : s.in_area(), pitch = s.k ? s.uw : s.wo;
#pragma omp for schedule(static)
      for (long chunk = 0; chunk < chunks; ++chunk) {
       if (pb) clear(dsum, weight_size);
       for (long n = chunk * s.n / chunks; n < (chunk + 1) * s.n / chunks; ++n) {
        long in = n * s.h * s.w * s.cin, to = n * pixels * s.cout;
        adjoints(s, yb[0], yb[1], gz ? gz + to : nullptr, gp ? gp + to : nullptr, y + to,
                 gp ? yt + to : nullptr, k);
        product(inner[0], area, pitch, yb[0], pixels, s.ho, s.wo, s.cout, weights.backward, bi, false);
        if (gp) {
          product(inner[0], area, pitch, yb[1], pixels, s.ho, s.wo, s.cout, tangent.backward, bi, true);
          product(inner[1], area, pitch, yb[1], pixels, s.ho, s.wo, s.cout, weights.backward, bi, false);
        }
        if (pb) fill(s, h[0], h[1], x + in, xt ? xt + in : nullptr, pre);
        for (long b = 0; b < bi && s.k; ++b) {
          const vec *w = weights.depthwise + b * s.taps(), *wt = gp ? tangent.depthwise + b * s.taps() : nullptr;
          long at = b * s.in_area(), back = b * s.back_area();
          depthwise_transposed(s, hb[0] + at, ub[0] + back, w, false);
          if (gp) {
            depthwise_transposed(s, hb[0] + at, ub[1] + back, wt, true);
            depthwise_transposed(s, hb[1] + at, ub[1] + back, w, false);
          }
          if (pb) {
            depthwise(s, u[0] + b * pixels, h[0] + at, w, false);
            depthwise_weights(s, dsum + b * s.taps(), h[0] + at, ub[0] + back);
            if (gp) {
              depthwise(s, u[1] + b * pixels, h[1] + at, w, false);
              depthwise(s, u[1] + b * pixels, h[0] + at, wt, true);
              depthwise_weights(s, dsum + b * s.taps(), h[1] + at, ub[1] + back);
            }
          }
        }
        if (pb)
          for (int i = 0; i < tangents; ++i) outer(psum, yb[i], pixels, s.cout, u[i], pixels, pixels, bi);
        leave(s, hb[0], hb[1], x + in, xt ? xt + in : nullptr, pre, xb + in, xtb ? xtb + in : nullptr,
              add & 1, add & 2, sums ? sum_parts.data() + chunk * 5 * s.cin : nullptr);
       }
       if (pb) std::memcpy(parts.data() + chunk * weight_size * V, dsum, weight_size * sizeof(vec));
      }
    }
    for (long i = 0; sums && i < 5 * s.cin; ++i) {
      sums[i] = 0;
      for (long chunk = 0; chunk < chunks; ++chunk) sums[i] += sum_parts[chunk * 5 * s.cin + i];
    }
    if (!pb) return;
    for (long chunk = 1; chunk < chunks; ++chunk)
      for (long i = 0; i < weight_size * V; ++i) parts[i] += parts[chunk * weight_size * V + i];
    const T *ps = parts.data() + bi * s.taps() * V;
    for (long c = 0; c < s.cin; ++c)
      for (long t = 0; t < s.taps(); ++t) db[c * s.taps() + t] = parts[(c / V * s.taps() + t) * V + c % V];
    for (long o = 0; o < s.cout; ++o)
      for (long i = 0; i < s.cin; ++i) pb[o * s.cin + i] = ps[o * bi * V + i];
  }

  // sum[j] += scale · x[j] for up to 64 pixels.
  static inline void add_scaled(vec *sum, vec scale, const T *x, long channels, long pixels, long lanes) {
    for (long j = 0; j < pixels; ++j) sum[j] += scale * load(x + j * channels, lanes);
  }
  // out (+)= k[0] + Σ_i k[1 + i] · x_i, per channel; where there is an out2, the same with k2 of the
  // first count2 of the x_i. Each x_i is read once.
  static void combine(long pixels, long channels, long count, const T *const *x, const T *k, T *out, int add,
                      long count2, const T *k2, T *out2, int add2, int threads) {
    long chunks = std::min(pixels, CHUNKS);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (long chunk = 0; chunk < chunks; ++chunk) {
      long end = (chunk + 1) * pixels / chunks;
      for (long p0 = chunk * pixels / chunks; p0 < end; p0 += 64)  // 64 pixels stay in the cache
        for (long c0 = 0; c0 < channels; c0 += V) {
          long lanes = std::min(V, channels - c0), block = std::min(64L, end - p0);
          long at = p0 * channels + c0;
          vec sum[64], sum2[64];
          start(sum, load(k + c0, lanes), out + at, channels, block, lanes, add);
          if (out2) start(sum2, load(k2 + c0, lanes), out2 + at, channels, block, lanes, add2);
          for (long i = 0; i < count; ++i) {
            long row = (1 + i) * channels + c0;
            add_scaled(sum, load(k + row, lanes), x[i] + at, channels, block, lanes);
            if (i < count2) add_scaled(sum2, load(k2 + row, lanes), x[i] + at, channels, block, lanes);
          }
          for (long j = 0; j < block; ++j) store(out + at + j * channels, sum[j], lanes);
          for (long j = 0; out2 && j < block; ++j) store(out2 + at + j * channels, sum2[j], lanes);
        }
    }
  }
  static inline void start(vec *sum, vec constant, const T *out, long channels, long pixels, long lanes,
                           int add) {
    for (long j = 0; j < pixels; ++j) sum[j] = add ? constant + load(out + j * channels, lanes) : constant;
  }
  // o[0] += Σ g · x over a block, two sums at a time; x of null is 1.
  static inline void add_dot(double *o, const T *g, const T *x, long channels, long pixels, long lanes) {
    vec a{}, b{};
    long j = 0;
    for (; j + 2 <= pixels; j += 2) {
      vec v = load(g + j * channels, lanes), w = load(g + (j + 1) * channels, lanes);
      a += x ? v * load(x + j * channels, lanes) : v;
      b += x ? w * load(x + (j + 1) * channels, lanes) : w;
    }
    if (j < pixels) {
      vec v = load(g + j * channels, lanes);
      a += x ? v * load(x + j * channels, lanes) : v;
    }
    a += b;
    for (long l = 0; l < lanes; ++l) o[l] += a[l];
  }
  // out[0] = Σ g, out[1 + i] = Σ g · x_i, per channel over all pixels; where there is a g2, the same
  // with g2 and the first count2 of the x_i after it. Each x_i is read from memory once.
  static void dots(long pixels, long channels, long count, const T *g, const T *const *x, long count2,
                   const T *g2, double *out, int threads) {
    long chunks = std::min(pixels, CHUNKS), size = (count + 1 + (g2 ? count2 + 1 : 0)) * channels;
    std::vector<double> parts(chunks * size);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (long chunk = 0; chunk < chunks; ++chunk) {
      double *o = parts.data() + chunk * size, *o2 = o + (count + 1) * channels;
      long end = (chunk + 1) * pixels / chunks;
      for (long p0 = chunk * pixels / chunks; p0 < end; p0 += 128)
        for (long c0 = 0; c0 < channels; c0 += V) {
          long lanes = std::min(V, channels - c0), block = std::min(128L, end - p0);
          long at = p0 * channels + c0;
          add_dot(o + c0, g + at, nullptr, channels, block, lanes);
          if (g2) add_dot(o2 + c0, g2 + at, nullptr, channels, block, lanes);
          for (long i = 0; i < count; ++i) {
            long row = (1 + i) * channels + c0;
            add_dot(o + row, g + at, x[i] + at, channels, block, lanes);
            if (g2 && i < count2) add_dot(o2 + row, g2 + at, x[i] + at, channels, block, lanes);
          }
        }
    }
    for (long i = 0; i < size; ++i) {
      out[i] = 0;
      for (long chunk = 0; chunk < chunks; ++chunk) out[i] += parts[chunk * size + i];
    }
  }
};

// A map whose channels do not fill blocks is read as one of fewer pixels with more channels that do:
// `fold` pixels beside each other are one. 1 where that cannot be.
template <class T> long fold_of(long channels, long pixels) {
  long fold = Vec<T>::V / std::gcd(channels, Vec<T>::V);
  return pixels % fold ? 1 : fold;
}
// Whether blocks are full then.
template <class T> bool full(long channels, long fold) { return channels * fold % Vec<T>::V == 0; }

// Rows of a value a channel, for a folded map.
template <class T> std::vector<T> repeated(const T *k, long rows, long channels, long fold) {
  std::vector<T> all(k ? rows * channels * fold : 0);
  for (size_t i = 0; i < all.size(); ++i)
    all[i] = k[i / (channels * fold) * channels + i % channels];
  return all;
}

template <class T>
void moments(const T *y, const T *yt, long images, long pixels, long channels, double *out, int threads) {
  long fold = fold_of<T>(channels, pixels);
  (full<T>(channels, fold) ? Kernels<T, true>::moments_of : Kernels<T, false>::moments_of)(
      y, yt, images, pixels / fold, channels, fold, out, threads);
}

template <class T>
void combine(long pixels, long channels, long count, const T *const *x, const T *k, T *out, int add, long count2,
             const T *k2, T *out2, int add2, int threads) {
  long fold = fold_of<T>(channels, pixels);
  std::vector<T> wide, wide2;
  if (fold > 1) {
    wide = repeated(k, count + 1, channels, fold), k = wide.data();
    wide2 = repeated(k2, std::min(count, count2) + 1, channels, fold), k2 = wide2.data();
  }
  (full<T>(channels, fold) ? Kernels<T, true>::combine : Kernels<T, false>::combine)(
      pixels / fold, channels * fold, count, x, k, out, add, count2, k2, out2, add2, threads);
}

template <class T>
void dots(long pixels, long channels, long count, const T *g, const T *const *x, long count2, const T *g2,
          double *out, int threads) {
  long fold = fold_of<T>(channels, pixels), rows = count + 1 + (g2 ? count2 + 1 : 0);
  std::vector<double> wide(rows * channels * fold);
  (full<T>(channels, fold) ? Kernels<T, true>::dots : Kernels<T, false>::dots)(
      pixels / fold, channels * fold, count, g, x, count2, g2, wide.data(), threads);
  for (long i = 0; i < rows * channels; ++i) {
    out[i] = 0;
    for (long f = 0; f < fold; ++f) out[i] += wide[(i / channels * fold + f) * channels + i % channels];
  }
}

}  // namespace
