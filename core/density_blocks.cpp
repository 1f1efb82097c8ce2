// Logistic and log-linear rows in blocks, by the kernels of the processor's instruction set.
#include <algorithm>
#include <array>

#include "density_rows.hpp"
#include "row_kernel.hpp"

namespace multilevel {

namespace rows {
namespace baseline {
RowKernels kernels();
}
#ifdef X86_KERNELS
namespace avx2 {
RowKernels kernels();
}
namespace avx512 {
RowKernels kernels();
}
#endif

RowKernels row_kernels() {
#ifdef X86_KERNELS
    if (__builtin_cpu_supports("avx512f")) return avx512::kernels();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2::kernels();
#endif
    return baseline::kernels();
}

}  // namespace rows

namespace {

using rows::Block;
using rows::block_size;

const rows::RowKernels kernels = rows::row_kernels();

constexpr int most_lanes = 8;
constexpr int most_outputs = 4;

// A copy of fewer rows than fill the last register, with room to the next multiple of its lanes
struct Padded {
    double in[4][most_lanes] = {};
    double out[most_outputs][most_lanes];
};

void last_rows(rows::RowKernels::Kernel kernel, const Block& block, int order, double* const* out) {
    Padded room;
    const double* from[4] = {block.y, block.trials, block.constant, block.eta};
    for (int k = 0; k < 4; ++k) std::copy(from[k], from[k] + block.n, room.in[k]);
    double* to[most_outputs] = {room.out[0], room.out[1], room.out[2], room.out[3]};
    kernel({block.n, room.in[0], room.in[1], room.in[2], room.in[3]}, to);
    for (int d = 0; d <= order; ++d) std::copy(to[d], to[d] + block.n, out[d]);
}

const double* ones() {
    static const std::array<double, block_size> values = [] {
        std::array<double, block_size> out;
        out.fill(1.0);
        return out;
    }();
    return values.data();
}

}  // namespace

bool has_blocks(const Request& request) {
    const Density& density = request.density;
    const bool logistic = density.family == Family::binomial && density.link == Link::logit;
    const bool log_linear = density.family == Family::poisson && density.link == Link::log;
    return (logistic || log_linear) && !density.extra_zeros;
}

void evaluate_blocks(const Request& request, void (*constants)(const Request&)) {
    const Responses& responses = request.responses;
    const int order = request.n_active == 0 ? 0 : request.order;
    const auto kernel = (request.density.family == Family::binomial ? kernels.logistic : kernels.log_linear)[order];
    double computed[block_size];
    double* const into[] = {computed};
    for (std::int64_t at = request.begin; at < request.end; at += block_size) {
        const int n = static_cast<int>(std::min<std::int64_t>(block_size, request.end - at));
        if (!responses.constants) {
            Request part = request;
            part.begin = at;
            part.end = at + n;
            part.out = into;
            constants(part);
        }
        const double* trials = responses.trials ? responses.trials + at : ones();
        const double* constant = responses.constants ? responses.constants + at : computed;
        double* out[most_outputs];
        for (int d = 0; d <= order; ++d) out[d] = request.out[d] + (at - request.begin);
        const int whole = n / most_lanes * most_lanes;
        kernel({whole, responses.y + at, trials, constant, request.predictors[0] + at}, out);
        if (whole < n) {
            double* rest[most_outputs];
            for (int d = 0; d <= order; ++d) rest[d] = out[d] + whole;
            last_rows(kernel, {n - whole, responses.y + at + whole, trials + whole, constant + whole,
                               request.predictors[0] + at + whole}, order, rest);
        }
        if (responses.power)
            for (int d = 0; d <= order; ++d)
                for (int i = 0; i < n; ++i) out[d][i] *= responses.power[at + i];
    }
}

}  // namespace multilevel
