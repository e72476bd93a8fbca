// Integers that become indices: sums, products and comparisons of int64, a choice between two, numbers made whole.
#pragma once
#include "fields.hpp"

namespace backpass {

// y = function(a, b), which wraps around beyond 64 bits
struct IndexFunctionOf {
    static constexpr const char* name = "index_function";
    Strided<const std::int64_t> a, b;
    Strided<std::int64_t> y;
    IndexFunction function = IndexFunction::add;

    template <class Visit>
    void fields(Visit&& field) {
        field("a", a);
        field("b", b);
        field("y", y);
        field("function", function, kIndexFunctionNames);
    }
    const char* invalid() const {
        return same_shape(a, y) && same_shape(b, y) ? nullptr : "a, b and y must have one shape";
    }
    double flops() const { return 4 * double(y.size()); }
    double bytes() const { return 24 * double(y.size()); }
    std::int64_t tasks() const { return pieces(y.size(), kElementPiece); }
};

// y = a where the condition is not 0, else b
template <class T>
struct IndexWhere {
    static constexpr const char* name = "index_where";
    Strided<const T> condition;
    Strided<const std::int64_t> a, b;
    Strided<std::int64_t> y;

    template <class Visit>
    void fields(Visit&& field) {
        field("condition", condition);
        field("a", a);
        field("b", b);
        field("y", y);
    }
    const char* invalid() const {
        return same_shape(condition, y) && same_shape(a, y) && same_shape(b, y)
                   ? nullptr
                   : "condition, a, b and y must have one shape";
    }
    double flops() const { return double(y.size()); }
    double bytes() const { return double(24 + sizeof(T)) * double(y.size()); }
    std::int64_t tasks() const { return pieces(y.size(), kElementPiece); }
};

// y = x without its fraction
template <class T>
struct ToIndex {
    static constexpr const char* name = "to_index";
    Strided<const T> x;
    Tensor<std::int64_t> y;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("y", y);
    }
    const char* invalid() const { return same_shape(x, y) ? nullptr : "x and y must have one shape"; }
    double flops() const { return double(x.size()); }
    double bytes() const { return double(8 + sizeof(T)) * double(x.size()); }
    std::int64_t tasks() const { return pieces(x.size(), kElementPiece); }
};

using IndexArithmeticOps = decltype(BothDtypes<IndexWhere, ToIndex>{} + OpList<IndexFunctionOf>{});

}  // namespace backpass
