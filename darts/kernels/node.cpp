// A node of a searched cell: a sum of weighted chains of units, and its first and second derivatives.
//
// A norm over the batch is two moments and one affine map per channel, so a node is one linear
// combination per channel of what its units give, and all of its derivatives are sums, and
// combinations again. plan.py says how a node is laid out in memory.
namespace {

struct UnitPlan {
  const long *dims;              // of a Shape
  long y, norm, parameter;       // where its output, its norm and its weights are
  long channels_in() const { return dims[3]; }
  long channels() const { return dims[4]; }
  bool depthwise() const { return dims[5]; }
  long inputs() const { return dims[0] * dims[1] * dims[2]; }  // pixels of all images
  long outputs() const { return dims[0] * ((dims[1] - 1) / dims[6] + 1) * ((dims[2] - 1) / dims[6] + 1); }
};

struct TermPlan {
  long source;
  bool normed;
  long norm;  // of its last output
  std::vector<UnitPlan> units;
};

struct Plan {
  long images, channels, height, width, size, sources, most;
  std::vector<std::vector<long>> shapes;  // of sources: channels, height, width
  std::vector<TermPlan> terms;
  explicit Plan(const long *p) {
    images = *p++, channels = *p++, height = *p++, width = *p++, size = *p++, most = *p++;
    sources = *p++;
    long count = *p++;
    for (long i = 0; i < sources; ++i, p += 3) shapes.push_back({p[0], p[1], p[2]});
    for (long i = 0; i < count; ++i) {
      TermPlan term{p[0], p[1] != 0, p[2], {}};
      long units = p[3];
      p += 4;
      for (long j = 0; j < units; ++j, p += 11) term.units.push_back({p, p[8], p[9], p[10]});
      terms.push_back(term);
    }
  }
  long pixels() const { return images * height * width; }
  long source_pixels(long i) const { return images * shapes[i][1] * shapes[i][2]; }
};

thread_local Scratch between;  // adjoints between the units of a chain

template <class T> struct Node {
  Plan plan;
  const T *const *x, *const *xt;  // of sources
  const T *w, *wt;
  const T *const *d, *const *dt;  // weights of units
  T *outputs;
  double *norms;
  int threads;

  long count() const { return plan.terms.size(); }
  const T *y(long i) const {
    const TermPlan &t = plan.terms[i];
    return t.units.empty() ? x[t.source] : outputs + t.units.back().y;
  }
  const T *yt(long i) const {
    const TermPlan &t = plan.terms[i];
    return t.units.empty() ? xt[t.source] : outputs + plan.size + t.units.back().y;
  }
  // [a b r e f] of the norm of a unit, before the next one's relu.
  static std::vector<T> before(const Norm &norm, long channels) {
    std::vector<T> pre(5 * channels);
    for (long c = 0; c < channels; ++c) {
      double rows[5];
      norm.affine(c, rows);
      for (long r = 0; r < 5; ++r) pre[r * channels + c] = T(rows[r]);
    }
    return pre;
  }
  static const T *at(const std::vector<T> &v) { return v.empty() ? nullptr : v.data(); }
  const T *depthwise(const T *const *of, const UnitPlan &u) const {
    return of && u.depthwise() ? of[u.parameter] : nullptr;
  }
  const T *pointwise(const T *const *of, const UnitPlan &u) const {
    return of ? of[u.parameter + u.depthwise()] : nullptr;
  }

  // Norms are by the batch. With running statistics, a mean and a variance each norm: they are moved
  // by a share towards those of the batch; by a share below 0 they are what norms are taken by.
  void forward(T *z, T *zt, double eps, T *const *running, double share) {
    bool by_running = running && share < 0;
    auto settle = [&](double *found, long channels, double count) {
      Norm norm(found, channels);
      if (by_running) {
        norm.read(channels, eps, running);
      } else {
        if (running) norm.record(channels, count, share, running);
        norm.close(channels, eps);
      }
      return norm;
    };
    for (const TermPlan &term : plan.terms) {
      const T *from = x[term.source], *from_t = xt ? xt[term.source] : nullptr;
      std::vector<T> pre;
      for (const UnitPlan &u : term.units) {
        T *to = outputs + u.y, *to_t = xt ? outputs + plan.size + u.y : nullptr;
        double *found = norms + u.norm;
        bool full = u.channels_in() % Vec<T>::V == 0 && u.channels() % Vec<T>::V == 0;
        (full ? Kernels<T, true>::unit_forward : Kernels<T, false>::unit_forward)(
            u.dims, from, from_t, at(pre), depthwise(d, u), depthwise(dt, u), pointwise(d, u),
            pointwise(dt, u), to, to_t, by_running ? nullptr : found, threads);
        pre = before(settle(found, u.channels(), u.outputs()), u.channels());
        if (running) running += 2;
        from = to, from_t = to_t;
      }
      if (!term.units.empty()) continue;
      double *found = norms + term.norm;
      if (!term.normed) {
        Norm(found, plan.channels).identity(plan.channels);
      } else {
        if (!by_running)
          moments(from, from_t, plan.images, plan.height * plan.width, plan.channels, found, threads);
        settle(found, plan.channels, plan.pixels());
      }
      if (running) running += 2;
    }
    combined(z, zt);
  }

  void combined(T *z, T *zt) const {
    long n = count(), channels = plan.channels;
    std::vector<double> k((1 + n) * channels), kt((1 + 2 * n) * channels);
    std::vector<const T *> maps(2 * n);
    for (long i = 0; i < n; ++i) {
      maps[i] = y(i), maps[n + i] = zt ? yt(i) : nullptr;
      Norm norm(norms + plan.terms[i].norm, channels);
      for (long c = 0; c < channels; ++c) {
        double map[5];
        norm.affine(c, map);
        Mixed m(map, w[i], wt ? wt[i] : 0);
        k[c] += m.constant, k[(1 + i) * channels + c] = m.on_y;
        kt[c] += m.constant_t, kt[(1 + i) * channels + c] = m.on_y_t;
        kt[(1 + n + i) * channels + c] = m.on_yt;
      }
    }
    std::vector<T> rows(k.begin(), k.end()), rows_t(kt.begin(), kt.end());
    if (zt)
      combine<T>(plan.pixels(), channels, 2 * n, maps.data(), rows_t.data(), zt, 0, n, rows.data(), z, 0, threads);
    else
      combine<T>(plan.pixels(), channels, n, maps.data(), rows.data(), z, 0, 0, nullptr, nullptr, 0, threads);
  }

  // Adjoints of the sources, of their tangents unless xtb is null, of the weights, and of the units'
  // weights unless db is null, from g and p, those of the node and of its tangent; either may be null.
  void backward(const T *g, const T *p, T *const *xb, T *const *xtb, T *wb, T *const *db) {
    long n = count(), channels = plan.channels, rows = (1 + n) * channels;
    std::vector<const T *> maps(2 * n);
    for (long i = 0; i < n; ++i) maps[i] = y(i), maps[n + i] = p ? yt(i) : nullptr;
    std::vector<double> on_g(rows), on_p((1 + 2 * n) * channels + rows);
    if (!p) {
      dots<T>(plan.pixels(), channels, n, g, maps.data(), 0, nullptr, on_g.data(), threads);
    } else {
      dots<T>(plan.pixels(), channels, 2 * n, p, maps.data(), g ? n : 0, g, on_p.data(), threads);
      if (g) std::copy_n(on_p.data() + (1 + 2 * n) * channels, rows, on_g.data());
    }
    std::vector<bool> begun(plan.sources), loose_there(plan.sources);
    std::vector<std::vector<double>> loose(plan.sources);
    for (long i = 0; i < n; ++i) {
      const TermPlan &term = plan.terms[i];
      Norm norm(norms + term.norm, channels);
      std::vector<double> k(8 * channels), value(channels);
      for (long c = 0; c < channels; ++c) {
        double sums[2] = {on_g[c], on_g[(1 + i) * channels + c]}, row[8];
        double sums_p[3] = {on_p[c], on_p[(1 + i) * channels + c], on_p[(1 + n + i) * channels + c]};
        value[c] = norm.projected(c, sums, p ? sums_p : nullptr);
        double weight = w[i], weight_t = wt && p ? wt[i] : 0;
        if (term.normed)
          norm.adjoint(c, plan.pixels(), weight, weight_t, sums, p ? sums_p : nullptr, row);
        else
          for (int r = 0; r < 8; ++r) row[r] = r == 1 || r == 6 ? weight : r == 2 ? weight_t : 0;
        for (int r = 0; r < 8; ++r) k[r * channels + c] = row[r];
      }
      wb[i] = T(pairwise(value.data(), channels));
      if (!term.units.empty()) {
        chain(term, g, p, k, xb, xtb, db, begun[term.source]);
        begun[term.source] = true;
        continue;
      }
      std::vector<double> &sum = loose[term.source];
      sum.resize(k.size());
      for (size_t j = 0; j < k.size(); ++j) sum[j] += k[j];
      loose_there[term.source] = true;
    }
    for (long s = 0; s < plan.sources; ++s)
      if (loose_there[s]) leave_loose(s, g, p, loose[s], xb[s], xtb ? xtb[s] : nullptr, begun[s]);
  }

  // What a source gets without a convolution: the scales k of g p y ẏ.
  void leave_loose(long s, const T *g, const T *p, const std::vector<double> &k, T *xb, T *xtb, bool add) const {
    long channels = plan.channels;
    auto row = [&](int r) { return k.begin() + r * channels; };
    auto any = [&](int r) { return std::any_of(row(r), row(r + 1), [](double v) { return v != 0; }); };
    std::vector<T> whole(row(0), row(1)), part(row(5), row(6));
    std::vector<const T *> maps;
    long shared = 0;
    auto include = [&](const T *map, int r, bool of_tangent) {
      if (!map || !(any(r) || (of_tangent && xtb && any(4 + r)))) return;
      maps.push_back(map);
      whole.insert(whole.end(), row(r), row(r + 1));
      if (!of_tangent) return;
      part.insert(part.end(), row(4 + r), row(5 + r));
      ++shared;
    };
    include(p, 2, true);  // p and x first: the sum on the tangent's adjoint is of those two alone
    include(x[s], 3, true);
    include(g, 1, false);
    include(xt ? xt[s] : nullptr, 4, false);
    combine<T>(plan.source_pixels(s), channels, maps.size(), maps.data(), whole.data(), xb, add, xtb ? shared : 0,
               xtb ? part.data() : nullptr, xtb, add, threads);
  }

  // Pull back through the units of a term, last first.
  void chain(const TermPlan &term, const T *g, const T *p, std::vector<double> k, T *const *xb, T *const *xtb,
             T *const *db, bool add) {
    long units = term.units.size(), most = p ? 2 : 1;
    T *room[2][2] = {};  // adjoints of a unit's input and of its tangent; two, for the next one reads them
    if (units > 1) {
      between.reserve(2 * most * (plan.most * sizeof(T) + 64));
      for (auto &pair : room)
        for (long t = 0; t < most; ++t) pair[t] = between.take<T>(plan.most);
    }
    for (long number = units - 1; number >= 0; --number) {
      const UnitPlan &u = term.units[number];
      const UnitPlan *first = number ? &term.units[number - 1] : nullptr;
      const T *from = first ? outputs + first->y : x[term.source];
      const T *from_t = !xt ? nullptr : first ? outputs + plan.size + first->y : xt[term.source];
      T *to = first ? room[number % 2][0] : xb[term.source];
      T *to_t = !p ? nullptr : first ? room[number % 2][1] : xtb ? xtb[term.source] : nullptr;
      std::vector<T> pre;
      if (first) pre = before(Norm(norms + first->norm, first->channels()), first->channels());
      std::vector<T> scales(k.begin(), k.end());
      std::vector<double> sums(5 * u.channels_in());
      T *into_d = db && u.depthwise() ? db[u.parameter] : nullptr;
      T *into_p = db ? db[u.parameter + u.depthwise()] : nullptr;
      bool full = u.channels_in() % Vec<T>::V == 0 && u.channels() % Vec<T>::V == 0;
      (full ? Kernels<T, true>::unit_backward : Kernels<T, false>::unit_backward)(
          u.dims, from, from_t, at(pre), depthwise(d, u), depthwise(dt, u), pointwise(d, u), pointwise(dt, u),
          g, p, outputs + u.y, p ? outputs + plan.size + u.y : nullptr, scales.data(), to, to_t,
          first || !add ? 0 : to_t ? 3 : 1, into_d, into_p, sums.data(), threads);
      if (!first) return;
      g = to, p = to_t;
      long channels = first->channels();
      Norm norm(norms + first->norm, channels);
      k.assign(8 * channels, 0);
      for (long c = 0; c < channels; ++c) {
        double on[5], row[8];
        for (int r = 0; r < 5; ++r) on[r] = sums[r * channels + c];
        norm.adjoint(c, u.inputs(), 1, 0, on, p ? on + 2 : nullptr, row);
        for (int r = 0; r < 8; ++r) k[r * channels + c] = row[r];
      }
    }
  }
};

}  // namespace

#define EXPORT(T, S) \
  extern "C" void node_forward_##S(const long *plan, double eps, const T *const *x, const T *const *xt, \
                                   const T *w, const T *wt, const T *const *d, const T *const *dt, T *outputs, \
                                   double *norms, T *z, T *zt, T *const *running, double share, int threads) { \
    Node<T>{Plan(plan), x, xt, w, wt, d, dt, outputs, norms, threads}.forward(z, zt, eps, running, share); \
  } \
  extern "C" void node_backward_##S(const long *plan, const T *const *x, const T *const *xt, const T *w, \
                                    const T *wt, const T *const *d, const T *const *dt, T *outputs, \
                                    double *norms, const T *g, const T *p, T *const *xb, T *const *xtb, T *wb, \
                                    T *const *db, int threads) { \
    Node<T>{Plan(plan), x, xt, w, wt, d, dt, outputs, norms, threads}.backward(g, p, xb, xtb, wb, db); \
  }
EXPORT(float, f32)
EXPORT(double, f64)
