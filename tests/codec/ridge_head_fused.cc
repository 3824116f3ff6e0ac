// SPDX-License-Identifier: Apache-2.0
//
// The solve compiled as it must not be: with fused multiply-add. It has to notice.
#include "codec/ridge_head.cc"
