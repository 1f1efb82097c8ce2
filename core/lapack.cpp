#include "lapack.hpp"

#include <Eigen/Dense>

namespace multilevel::lapack {
namespace {

Potrf potrf_routine = nullptr;
Trtri trtri_routine = nullptr;
Lauum lauum_routine = nullptr;

constexpr int worth_a_call = 48;

using Matrix = Eigen::Map<Eigen::MatrixXd>;

}  // namespace

void set_routines(Potrf potrf, Trtri trtri, Lauum lauum) {
    potrf_routine = potrf;
    trtri_routine = trtri;
    lauum_routine = lauum;
}

bool cholesky(double* matrix, int n) {
    if (potrf_routine && n >= worth_a_call) {
        char lower = 'L';
        int info = 0;
        potrf_routine(&lower, &n, matrix, &n, &info);
        return info == 0;
    }
    Eigen::Ref<Eigen::MatrixXd> view = Matrix(matrix, n, n);
    Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>, Eigen::Lower> factor(view);
    return factor.info() == Eigen::Success;
}

void invert_lower(double* matrix, int n) {
    if (trtri_routine && n >= worth_a_call) {
        char lower = 'L', general = 'N';
        int info = 0;
        trtri_routine(&lower, &general, &n, matrix, &n, &info);
        return;
    }
    Matrix view(matrix, n, n);
    const Eigen::MatrixXd inverse =
        view.triangularView<Eigen::Lower>().solve(Eigen::MatrixXd::Identity(n, n));
    view.triangularView<Eigen::Lower>() = inverse;
}

void lower_crossproduct(double* matrix, int n) {
    if (lauum_routine && n >= worth_a_call) {
        char lower = 'L';
        int info = 0;
        lauum_routine(&lower, &n, matrix, &n, &info);
        return;
    }
    Matrix view(matrix, n, n);
    const Eigen::MatrixXd triangle = view.triangularView<Eigen::Lower>();
    const Eigen::MatrixXd product = triangle.transpose() * triangle;
    view.triangularView<Eigen::Lower>() = product;
}

}  // namespace multilevel::lapack
