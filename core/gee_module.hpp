#pragma once

#include <nanobind/nanobind.h>

namespace multilevel {

void bind_gee(nanobind::module_& m);

}  // namespace multilevel
