// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "codec/ridge_head.h"
#include "tests/codec/feature_samples.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

TEST(FusedRidgeHead, RefusesToSolve) {
  if (!__builtin_cpu_supports("fma")) GTEST_SKIP() << "this processor has no FMA";
  EXPECT_ERROR(ErrorCode::kInternal, "compiled with fused multiply-add",
               (void)SolveRidge(testing_support::SampleSums(4, 2, 0, 20), 1.0));
}

}  // namespace
}  // namespace hemafed
