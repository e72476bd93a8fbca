// Products of tensors of one ISA row against loops in double, for every way in which their matrices may lie.
#include "laid.hpp"

namespace {

using namespace backpass;
using std::int64_t;

// Of one matrix after another: rows or columns, with gaps between these; one matrix for all, or the last matrix first.
enum class Matrices { rows, columns, padded_rows, padded_columns, same, backwards };
constexpr Matrices kMatrices[] = {Matrices::rows,           Matrices::columns, Matrices::padded_rows,
                                  Matrices::padded_columns, Matrices::same,    Matrices::backwards};

Extents strides_of(const Extents& shape, Matrices lie) {
    const std::size_t dims = shape.size();
    Extents strides(dims);
    const bool columns = lie == Matrices::columns || lie == Matrices::padded_columns;
    const bool padded = lie == Matrices::padded_rows || lie == Matrices::padded_columns;
    const std::size_t near = columns ? dims - 2 : dims - 1, far = columns ? dims - 1 : dims - 2;
    strides[near] = 1, strides[far] = std::max<int64_t>(shape[near], 1) + (padded ? 3 : 0);
    int64_t stride = strides[far] * std::max<int64_t>(shape[far], 1);
    for (std::size_t i = dims - 2; i-- > 0; stride *= shape[i])
        strides[i] = lie == Matrices::same ? 0 : lie == Matrices::backwards ? -stride : stride;
    return strides;
}

// sum(m, n, k) of `size` products; the wanted element and the sum of their absolute values.
template <class T, class Got, class Product>
void compare(const Got& got, int64_t matrices, int64_t M, int64_t N, int64_t size, Product product) {
    for (int64_t i = 0, at = 0; i < matrices; ++i)
        for (int64_t m = 0; m < M; ++m)
            for (int64_t n = 0; n < N; ++n, ++at) {
                double sum = 0, scale = 0;
                for (int64_t k = 0; k < size; ++k) {
                    const double p = product(i, m, n, k);
                    sum += p, scale += std::fabs(p);
                }
                CHECK(is_close(T(got[at]), sum, double(size) / 2 + 4, scale));
            }
}

template <class T>
void product(Extents leading, int64_t M, int64_t K, int64_t N, Matrices as, Matrices bs, Matrices dys) {
    const auto shape = [&](int64_t rows, int64_t cols) {
        Extents all = leading;
        all.push_back(rows), all.push_back(cols);
        return all;
    };
    const auto laid = [&](int64_t rows, int64_t cols, Matrices lie) {
        return Laid<T>(shape(rows, cols), strides_of(shape(rows, cols), lie));
    };
    const Laid<T> a = laid(M, K, as), b = laid(K, N, bs), dy = laid(M, N, dys);
    const auto y = Array<T>::filled(shape(M, N)), da = Array<T>::filled(shape(M, K)),
               db = Array<T>::filled(shape(K, N));
    MatmulForward<T> forward;
    forward.a = a, forward.b = b, forward.y = y;
    run(forward);
    MatmulBackward<T> backward;
    backward.a = a, backward.b = b, backward.dy = dy, backward.da = da, backward.db = db;
    run(backward);
    // In C order, because a look-up of an element of any strides takes long.
    const auto a_ = a.values(), b_ = b.values(), dy_ = dy.values();
    const auto at = [](const std::vector<T>& all, int64_t index) { return double(all[std::size_t(index)]); };
    int64_t count = 1;
    for (const int64_t extent : leading) count *= extent;
    compare<T>(y, count, M, N, K, [&](int64_t i, int64_t m, int64_t n, int64_t k) {
        return at(a_, (i * M + m) * K + k) * at(b_, (i * K + k) * N + n);
    });
    compare<T>(da, count, M, K, N, [&](int64_t i, int64_t m, int64_t k, int64_t n) {
        return at(dy_, (i * M + m) * N + n) * at(b_, (i * K + k) * N + n);
    });
    compare<T>(db, count, K, N, M, [&](int64_t i, int64_t k, int64_t n, int64_t m) {
        return at(a_, (i * M + m) * K + k) * at(dy_, (i * M + m) * N + n);
    });
    // Each gradient alone has the same bits.
    const auto alone = Array<T>::filled(shape(M, K)), beside = Array<T>::filled(shape(K, N));
    backward.da = alone, backward.db = {};
    run(backward);
    backward.da = {}, backward.db = beside;
    run(backward);
    CHECK(std::equal(da.data(), da.data() + da.size(), alone.data()));
    CHECK(std::equal(db.data(), db.data() + db.size(), beside.data()));
}

template <class T>
bool reads(const Extents& shape, const Extents& strides) {
    const Laid<T> a(shape, strides);
    const Laid<T> b({shape[1], 2}, Lies::contiguous);
    const auto y = Array<T>::filled({shape[0], 2});
    MatmulForward<T> op;
    op.a = a, op.b = b, op.y = y;
    return op.invalid() == nullptr;
}

template <class T>
void refuses() {
    CHECK(reads<T>({3, 4}, {4, 1}) && reads<T>({3, 4}, {1, 3}) && reads<T>({3, 4}, {9, 1}));
    CHECK(reads<T>({1, 4}, {0, 2}) && reads<T>({3, 1}, {5, 0}) && reads<T>({1, 1}, {-7, 0}));
    CHECK(reads<T>({0, 4}, {0, 0}) && reads<T>({3, 0}, {-1, -1}));
    // Gaps both ways, rows one upon the other, one row for all, one number for all, backwards.
    for (const Extents& wrong : {Extents{8, 2}, {2, 1}, {0, 1}, {0, 0}, {-4, 1}, {4, -1}, {1, 2}})
        CHECK(!reads<T>({3, 4}, wrong));
    CHECK(!reads<T>({1, 4}, {4, 0}) && !reads<T>({1, 4}, {4, -1}) && !reads<T>({3, 1}, {0, 1}) &&
          !reads<T>({3, 1}, {-1, 1}));
    // No work for any number of matrices without elements.
    MatmulForward<T> op;
    const Laid<T> a({1, 0, 5}, Lies::contiguous), b({1, 5, 0}, Lies::contiguous);
    const auto y = Array<T>::filled({1, 0, 0});
    op.a = a, op.b = b, op.y = y;
    op.a.shape[0] = op.b.shape[0] = op.y.shape[0] = int64_t(1) << 40;
    CHECK(op.invalid() == nullptr && op.tasks() == 0);
    MatmulBackward<T> backward;
    backward.a = op.a, backward.b = op.b, backward.dy = op.a, backward.da = op.y;
    CHECK(backward.invalid() != nullptr);
    backward.dy.shape[2] = 0, backward.da.shape[2] = 5;
    CHECK(backward.invalid() == nullptr && backward.tasks() == 0);
}

template <class T>
void check(T) {
    constexpr auto rows = Matrices::rows;
    for (int64_t n = 0; n <= 70; ++n)
        for (const Matrices lie : {rows, Matrices::columns})
            product<T>({}, n, 3, 5, lie, lie, rows), product<T>({}, 4, n, 3, lie, rows, lie),
                product<T>({2}, 3, 2, n, rows, lie, lie);
    for (const Matrices as : kMatrices)
        for (const Matrices bs : kMatrices)
            for (const Matrices dys : kMatrices) {
                product<T>({3}, 17, 35, 19, as, bs, dys), product<T>({2, 3}, 1, 5, 1, as, bs, dys);
                product<T>({2}, 7, 1, 9, as, bs, dys), product<T>({2, 1, 2, 1}, 2, 3, 4, as, bs, dys);
            }
    for (const Extents& leading : {Extents{0}, {2, 0}, {3}})
        for (const int64_t n : {0, 1, 9})
            product<T>(leading, n, 0, 4, rows, rows, rows), product<T>(leading, 4, 5, n, rows, rows, rows);
    // K in several blocks, tasks in both directions, and strides that make the operands be copied and packed
    constexpr int64_t stride = 2048 / sizeof(T);
    for (const Matrices as : kMatrices) {
        const Matrices bs = as == Matrices::columns ? rows : as;
        product<T>({2}, 150, 300, 70, as, bs, rows), product<T>({2}, 66, stride, 300, as, bs, as);
    }
    for (const Matrices lie : {rows, Matrices::columns})
        product<T>({}, 130, 66, stride, lie, lie, lie), product<T>({}, stride, 70, 66, lie, lie, lie);
    refuses<T>();
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
