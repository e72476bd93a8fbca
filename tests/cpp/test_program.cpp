// The runtime on a small training program: same bits for every number of threads, from several threads at
// once, after a fork; what is invalid throws; halt and interrupt stop it.
#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <thread>

#include "check.hpp"
#include "runtime/isa.hpp"
#include "runtime/program.hpp"

namespace {

using namespace backpass;
using std::int64_t;

template <class T, class U = T, std::size_t N>
Tensor<T> view(std::vector<U>& data, const int64_t (&shape)[N]) {
    Tensor<T> t;
    t.data = data.data();
    t.ndim = int(N);
    for (std::size_t i = 0; i < N; ++i) t.shape[i] = shape[i];
    return t;
}

// Two linear layers, cross entropy, clipping by norm and Adam, on one batch: all the arrays and the list of
// ops.
class Training {
  public:
    static constexpr int64_t B = 300, I = 65, H = 210, O = 10, N = I * H + H + H * O + O;

    std::vector<float> x, params, grads, m, v, hidden, pred, dpred, dhidden;
    std::vector<double> loss{0}, count{0}, partials, norm{0}, scale{1}, lr{0.01};
    std::vector<int64_t> target, step{0}, cursor{0}, halt{0};
    std::vector<double> total{0, 0};

    explicit Training(unsigned seed)
        : x(B * I),
          params(N),
          grads(N),
          m(N),
          v(N),
          hidden(B * H),
          pred(B * O),
          dpred(B * O),
          dhidden(B * H),
          partials((N + kUpdatePiece - 1) / kUpdatePiece),
          target(B) {
        const auto next = [&] { return float(seed = seed * 1664525 + 1013904223) / 4294967296.0f - 0.5f; };
        for (float& value : x) value = next();
        for (float& value : params) value = 0.3f * next();
        for (int64_t b = 0; b < B; ++b) target[std::size_t(b)] = b * 7 % O;
    }
    Training(const Training&) = delete;
    Training& operator=(const Training&) = delete;

    std::vector<AnyOp> ops() {
        LinearForward<float> first, second;
        LinearBackward<float> second_back, first_back;
        Range at{0, 0};
        const auto slice = [&](std::vector<float>& flat, int64_t rows, int64_t cols) {
            auto t = view<float>(flat, {rows, cols});
            t.data += at.begin;
            if (rows == 1) t.ndim = 1, t.shape[0] = cols;
            return t;
        };
        const auto layer = [&](LinearForward<float>& f, LinearBackward<float>& b, int64_t in, int64_t out) {
            f.weight = b.weight = constant(slice(params, in, out)), b.dweight = slice(grads, in, out);
            at.begin += in * out;
            f.bias = constant(slice(params, 1, out)), b.dbias = slice(grads, 1, out);
            at.begin += out;
        };
        layer(first, first_back, I, H), layer(second, second_back, H, O);
        first.x = first_back.x = view<const float>(x, {B, I});
        first.y = view<float>(hidden, {B, H}), second.x = second_back.x = view<const float>(hidden, {B, H});
        first.activation = second_back.activation = Activation::tanh;
        second.y = view<float>(pred, {B, O});
        second_back.dy = view<const float>(dpred, {B, O}), second_back.dx = view<float>(dhidden, {B, H});
        first_back.dy = view<const float>(dhidden, {B, H});

        SoftmaxCrossEntropy<float> entropy;
        entropy.pred = view<const float>(pred, {B, O}), entropy.target = view<const int64_t>(target, {B});
        entropy.loss = view<double>(loss, {1}), entropy.count = view<double>(count, {1});
        entropy.dpred = view<float>(dpred, {B, O});
        GradientNorm<float> square;
        square.grads = view<const float>(grads, {N});
        square.partials = view<double>(partials, {int64_t(partials.size())});
        ClipScale clip;
        clip.loss = view<const double>(loss, {1}), clip.norm = view<double>(norm, {1});
        clip.partials = view<const double>(partials, {int64_t(partials.size())});
        clip.scale = view<double>(scale, {1}), clip.halt = view<int64_t>(halt, {1}), clip.max_norm = 1;
        AdamStep<float> adam;
        adam.params = view<float>(params, {N}), adam.grads = view<const float>(grads, {N});
        adam.lr = view<const double>(lr, {1}), adam.scale = view<const double>(scale, {1});
        adam.m = view<float>(m, {N}), adam.v = view<float>(v, {N}),
        adam.step = view<const int64_t>(step, {1});
        Advance advance;
        advance.loss = view<const double>(loss, {1}), advance.count = view<const double>(count, {1});
        advance.step = view<int64_t>(step, {1}), advance.cursor = view<int64_t>(cursor, {1});
        advance.total = view<double>(total, {2}), advance.rows = B;
        return {first, second, entropy, second_back, first_back, square, clip, adam, advance};
    }
    Program program(const std::string& isa = choose_isa("")) { return Program(ops(), isa, "", halt.data()); }

    bool same_as(const Training& other) const {
        return params == other.params && m == other.m && v == other.v && loss == other.loss &&
               step == other.step;
    }

  private:
    static Tensor<const float> constant(const Tensor<float>& t) {
        Tensor<const float> c;
        c.data = t.data, c.ndim = t.ndim, c.shape[0] = t.shape[0], c.shape[1] = t.shape[1];
        return c;
    }
};

constexpr int64_t kSteps = 15;

// What kSteps with one thread make of the training with this seed.
const Training& expected(unsigned seed) {
    static Training* const made[] = {new Training(0), new Training(1)};
    Training& training = *made[seed];
    if (training.step[0] == 0) training.program().run(kSteps, 1, nullptr);
    return training;
}

void check_learning() {
    const Training& done = expected(0);
    CHECK(done.step[0] == kSteps && done.cursor[0] == kSteps * Training::B && done.halt[0] == 0);
    CHECK(done.loss[0] < 2.25 && done.total[0] / done.total[1] > done.loss[0]);  // from log 10 downwards
}

void check_threads() {
    for (const std::string& isa : available_isas()) {
        Training one(0);
        one.program(isa).run(kSteps, 1, nullptr);
        for (const int threads : {2, 3, 8}) {
            Training many(0);
            Program program = many.program(isa);
            CHECK(program.run(5, threads, nullptr) == 5);
            CHECK(program.run(kSteps - 5, threads, nullptr) == kSteps - 5);
            CHECK(many.same_as(one));
        }
    }
}

template <class F>
void check_throws(F f, const char* part) {
    try {
        f();
        CHECK(!"it should throw");
    } catch (const std::invalid_argument& error) {
        CHECK(std::string(error.what()).find(part) != std::string::npos);
    }
}

void check_invalid() {
    Training training(0);
    LinearForward<float> linear = training.ops()[0].as<LinearForward<float>>();
    const std::string isa = choose_isa("");
    Program({linear}, isa, "", nullptr);
    linear.x.shape[1] += 1;
    check_throws([&] { Program({linear}, isa, "", nullptr); }, "linear_forward: x must be");
    check_throws([&] { Program({}, "mmx", "", nullptr); }, "mmx");
    check_throws([&] { choose_isa("mmx"); }, isa.c_str());
    Program nothing({}, isa, "", nullptr);
    CHECK(nothing.run(3, 2, nullptr) == 3 && training.program().run(0, 2, nullptr) == 0);
}

void check_halt() {
    for (const int threads : {1, 2}) {
        Training training(0);
        Program program = training.program();
        CHECK(program.run(4, threads, nullptr) == 4);
        const auto params = training.params;
        training.x[5] = NAN;  // the step before the guard runs, the update does not
        CHECK(program.run(10, threads, nullptr) == 0 && training.halt[0] != 0);
        CHECK(training.params == params && training.step[0] == 4);
    }
}

// Counters at their ends wrap around, as NumPy's do; the undefined behaviour sanitizer looks on.
void check_forged_counters() {
    constexpr int64_t least = std::numeric_limits<int64_t>::min(), most = std::numeric_limits<int64_t>::max();
    for (const int64_t forged : {least, int64_t{0}, most}) {
        std::vector<float> y{0, 0, 0};
        std::vector<int64_t> sample{forged}, fired{least, 0, most}, expected = fired;
        std::vector<double> share{-1};
        DeadUnits<float> op;
        op.y = view<const float>(y, {1, 3}), op.sample = view<const int64_t>(sample, {1});
        op.fired = view<int64_t>(fired, {3}), op.share = view<double>(share, {1});
        Program program({AnyOp(op)}, available_isas().back(), "", nullptr);
        program.run(1, 1, nullptr);
        CHECK(fired == expected && share[0] >= 0 && share[0] <= 1);
    }
}

std::atomic<int> asked{0};
bool always() { return ++asked > 0; }
bool never() { return ++asked < 0; }

void check_interrupt() {
    for (const int threads : {1, 2}) {
        Training training(0);
        Program program = training.program();
        asked = 0;
        const int64_t done = program.run(int64_t{1} << 40, threads, always);
        CHECK(asked > 0 && done < int64_t{1} << 40 && training.step[0] == done);
    }
    Training training(0);
    training.program().run(kSteps, 2, never);
    CHECK(training.same_as(expected(0)));
}

// A long instruction goes through several tasks between two glances: the same bits, and it ends in the middle where it is stopped.
void check_glances() {
    CHECK(tasks_of_a_glance(kGlance, 8) == 8 && tasks_of_a_glance(10 * kGlance, 100) == 10);
    CHECK(tasks_of_a_glance(1e30, 8) == 1);
    constexpr int64_t B = 1024, I = 256, O = 2048;
    std::vector<float> x(B * I), weight(I * O), y(B * O), expected;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = float(i % 7) - 3;
    for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = float(i % 11) / 16;
    LinearForward<float> op;
    op.x = view<const float>(x, {B, I}), op.weight = view<const float>(weight, {I, O});
    op.y = view<float>(y, {B, O});
    const int64_t glance = tasks_of_a_glance(estimated_seconds(op.flops(), op.bytes()), op.tasks());
    CHECK(1 < glance && glance < op.tasks());
    Program program({AnyOp(op)}, choose_isa(""), "", nullptr);
    program.run(1, 1, nullptr);
    expected = y;
    for (const int threads : {1, 2, 3}) {
        std::fill(y.begin(), y.end(), -1.0f);
        CHECK(program.run(10, threads, never) == 10 && y == expected);
        asked = 0;
        CHECK(program.run(int64_t{1} << 40, threads, always) < int64_t{1} << 40 && asked == 1);
    }
}

// Programs in several threads: one of them has the pool, the others run alone.
void check_at_once() {
    for (int round = 0; round < 3; ++round) {
        Training a(0), b(1), c(0);
        std::thread first([&] { a.program().run(kSteps, 2, nullptr); });
        std::thread second([&] { b.program().run(kSteps, 3, nullptr); });
        c.program().run(kSteps, 2, nullptr);
        first.join(), second.join();
        CHECK(a.same_as(expected(0)) && b.same_as(expected(1)) && c.same_as(expected(0)));
    }
}

#ifndef _WIN32
template <class F>
bool succeeds_in_child(F f) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(f() ? 0 : 1);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A child of a process with a running pool starts its own.
void check_fork() {
    // under the thread sanitizer or QEMU no child of a process with threads may start any, with backpass or
    // without
    if (!succeeds_in_child([] { return std::thread([] {}).join(), true; }))
        return void(std::puts("fork: skipped"));
    for (int round = 0; round < 20; ++round) {
        Training parent(0);
        parent.program().run(2, 2, nullptr);
        if (round % 2)
            std::this_thread::sleep_for(std::chrono::milliseconds(3));  // the workers sleep, else they spin
        CHECK(succeeds_in_child([] {
            Training training(1);
            training.program().run(kSteps, 2, nullptr);
            return training.same_as(expected(1));
        }));
    }
    Training after(0);
    after.program().run(kSteps, 2, nullptr);
    CHECK(after.same_as(expected(0)));
}
#endif

#ifdef __linux__
int64_t threads_of_process() {
    int64_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) count += entry.exists();
    return count;
}

std::atomic<bool> enough{false};
bool told() { return ++asked > 0 && enough; }

// An op of two tasks takes one worker, however many there might be, also while a program without threads runs beside it.
void check_workers() {
    constexpr int64_t B = 256, I = 1024, O = 64;
    std::vector<float> x(B * I, 1), weight(I * O, 1), y(B * O);
    LinearForward<float> op;
    op.x = view<const float>(x, {B, I}), op.weight = view<const float>(weight, {I, O});
    op.y = view<float>(y, {B, O});
    CHECK(op.tasks() == 2);
    Program two({AnyOp(op)}, choose_isa(""), "", nullptr);

    asked = 0;
    std::thread other([] {
        Training training(0);
        training.program().run(int64_t{1} << 40, 1, told);
    });
    while (!asked) std::this_thread::yield();
    const int64_t before = threads_of_process();
    two.run(3, 8, nullptr);
    CHECK(threads_of_process() == before + 1);
    enough = true;
    other.join();
    two.run(3, 8, nullptr);
    CHECK(threads_of_process() == before);  // the worker came, the other is gone
}
#endif

void check_threads_setting() {
    set_num_threads(3);
    CHECK(get_num_threads() == 3);
    set_num_threads(-1);
    CHECK(get_num_threads() == 1);
    CHECK(useful_threads(10, 10, 8) == 1 && useful_threads(1e9, 1e6, 8) == 8);   // nothing to do; 20 ms
    CHECK(useful_threads(1e9, 1e6, 1) == 1 && useful_threads(1e6, 0, 64) == 3);  // one task; 20 µs
    CHECK(useful_threads(1e30, 1e30, std::int64_t{1} << 40) > 1000);
}

}  // namespace

int main() {
#ifdef __linux__
    check_workers();  // first: nobody has hired any
#endif
    check_learning();
    check_threads();
    check_invalid();
    check_halt();
    check_forged_counters();
    check_interrupt();
    check_glances();
    check_at_once();
#ifndef _WIN32
    check_fork();
#endif
    check_threads_setting();
    return finish();
}
