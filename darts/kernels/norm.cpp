// A norm over the batch as an affine map per channel, and what derivatives make of it, in double.
//
// Rounded as written, without fused multiplications: the same numbers on every processor.
#ifdef __clang__
#pragma clang fp contract(off)
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#endif

namespace {

// Moments of one tensor over the batch, per channel: ŷ = scale · (y − mean). The tangent of ŷ is
// scale · (ẏ − mean_t − c ŷ), c the mean of ŷ ẏ.
struct Norm {
  static constexpr long ROWS = 4;  // numbers that a channel has
  double *mean, *scale, *mean_t, *c;
  Norm(double *at, long channels)
      : mean(at), scale(at + channels), mean_t(at + 2 * channels), c(at + 3 * channels) {}

  // From mean, variance, mean of ẏ and covariance of y and ẏ, in place.
  void close(long channels, double eps) const {
    for (long i = 0; i < channels; ++i) {
      scale[i] = 1 / std::sqrt(scale[i] + eps);
      c[i] = scale[i] * c[i];
    }
  }
  // Mean and scale by running statistics, [mean, variance].
  template <class T> void read(long channels, double eps, const T *const *running) const {
    for (long i = 0; i < channels; ++i) {
      mean[i] = running[0][i], scale[i] = running[1][i];
      mean_t[i] = c[i] = 0;
    }
    close(channels, eps);
  }
  // Move running statistics towards mean and variance, before `close`: variance over count − 1.
  template <class T> void record(long channels, double count, double share, T *const *running) const {
    for (long i = 0; i < channels; ++i) {
      double variance = scale[i] * count / (count - 1);
      running[0][i] = T((1 - share) * running[0][i] + share * mean[i]);
      running[1][i] = T((1 - share) * running[1][i] + share * variance);
    }
  }
  void identity(long channels) const {
    for (long i = 0; i < channels; ++i) mean[i] = mean_t[i] = c[i] = 0, scale[i] = 1;
  }
  // [a b r e f]: ŷ = a·y + b, and its tangent r·ẏ + e·y + f.
  void affine(long i, double *out) const {
    double a = scale[i], e = -(scale[i] * scale[i]) * c[i];
    out[0] = out[2] = a, out[1] = -a * mean[i], out[3] = e, out[4] = -e * mean[i] - a * mean_t[i];
  }
  // ⟨g, ŷ⟩ + ⟨p, the tangent of ŷ⟩ by Σg, Σg·y and, unless p is null, Σp, Σp·y, Σp·ẏ.
  double projected(long i, const double *g, const double *p) const {
    double value = scale[i] * (g[1] - mean[i] * g[0]);
    if (p) {
      double p_n = scale[i] * (p[1] - mean[i] * p[0]);
      double p_t = p[2] - mean_t[i] * p[0] - c[i] * p_n;
      value = value + scale[i] * p_t;
    }
    return value;
  }
  // From g and p, the adjoints of w·ŷ and of its tangent, to those of y and ẏ, by their sums as in
  // `projected` over `count` pixels. That of y is k0 + k1·g + k2·p + k3·y + k4·ẏ, and that of ẏ is
  // k5 + k6·p + k7·y.
  //
  // With t = w·g + ẇ·p and tp = w·p, the adjoints of ŷ and of its tangent ŷ′, and m a mean:
  // ŷ′ = s(ẏ − m(ẏ) − c ŷ) gives ẏ the adjoint s(tp − m(tp) − ŷ m(tp ŷ)); and y, through ŷ and
  // through the scale s, s(u − m(u) − ŷ m(u ŷ)) − s² ρ ŷ, where u = t − s(c tp + m(tp ŷ) ẏ) and
  // ρ = m(tp ẏ) − m(tp) m(ẏ) − c m(tp ŷ).
  void adjoint(long i, double count, double w, double wt, const double *g, const double *p, double *k) const {
    double s = scale[i], m = mean[i], c = this->c[i], square = s * s;
    double m_t = (p ? w * g[0] + wt * p[0] : w * g[0]) / count;
    double m_ty = (p ? w * g[1] + wt * p[1] : w * g[1]) / count;
    double m_tn = s * (m_ty - m * m_t);
    if (!p) {
      double y = -square * m_tn;
      k[0] = -s * m_t - y * m, k[1] = w * s, k[3] = y;
      k[2] = k[4] = k[5] = k[6] = k[7] = 0;
      return;
    }
    double m_p = w * p[0] / count, m_py = w * p[1] / count, m_pt = w * p[2] / count;
    double m_pn = s * (m_py - m * m_p);
    double m_u = m_t - s * (c * m_p + m_pn * mean_t[i]);
    double m_un = m_tn - 2 * s * c * m_pn;
    double rho = m_pt - m_p * mean_t[i] - c * m_pn;
    double y = -square * (m_un + s * rho), yt = -square * m_pn;
    k[0] = -s * m_u - y * m, k[1] = w * s, k[2] = wt * s - w * square * c, k[3] = y, k[4] = yt;
    k[5] = -s * m_p - yt * m, k[6] = w * s, k[7] = yt;
  }
};

// What one term gives the sum of a node, and its tangent: [b a r e f] times the weights.
struct Mixed {
  double constant, on_y, constant_t, on_y_t, on_yt;
  Mixed(const double *map, double w, double wt)
      : constant(w * map[1]), on_y(w * map[0]), constant_t(wt * map[1] + w * map[4]),
        on_y_t(wt * map[0] + w * map[3]), on_yt(w * map[2]) {}
};

// Σ of numbers, in eight sums and by halves.
double pairwise(const double *x, long count) {
  if (count > 128) {
    long half = count / 2 - count / 2 % 8;
    return pairwise(x, half) + pairwise(x + half, count - half);
  }
  double r[8] = {}, sum = 0;
  long i = 0;
  for (; i + 8 <= count; i += 8)
    for (long j = 0; j < 8; ++j) r[j] += x[i + j];
  if (i) sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  for (; i < count; ++i) sum += x[i];
  return sum;
}

}  // namespace

#ifdef __clang__
#pragma clang fp contract(fast)
#else
#pragma GCC pop_options
#endif
