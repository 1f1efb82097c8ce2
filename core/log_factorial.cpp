#include <array>

#include "gamma_functions.hpp"

namespace multilevel {
namespace {

constexpr int tabulated = 256;

std::array<double, tabulated> table() {
    std::array<double, tabulated> out{};
    for (int y = 2; y < tabulated; ++y) out[y] = gamma_functions::log_gamma<0>(y + 1.0).f0;
    return out;
}

const std::array<double, tabulated> small = table();

}  // namespace

double log_factorial(double y) {
    if (y >= 0.0 && y < tabulated && y == std::floor(y)) return small[static_cast<std::size_t>(y)];
    return y > -1.0 ? gamma_functions::log_gamma<0>(y + 1.0).f0 : INFINITY;
}

}  // namespace multilevel
