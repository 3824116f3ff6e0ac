// SPDX-License-Identifier: Apache-2.0
//
// The solve of the library once more, compiled for processors with AVX2 and FMA at the highest optimisation
// (tests/codec/CMakeLists.txt): it must not change a bit.
#include "codec/ridge_head.cc"
