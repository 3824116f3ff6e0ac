// protocol/federation/refusals.h
// SPDX-License-Identifier: Apache-2.0
//
// How the parts of FederationState say no.
#pragma once

#include <cstdint>
#include <string>

#include "common/error.h"

namespace hemafed {

// A rule is broken.
[[noreturn]] inline void Refuse(const std::string& what) { throw Error(ErrorCode::kRefused, what); }
// It may not stand here.
[[noreturn]] inline void OutOfPlace(const std::string& what) { throw Error(ErrorCode::kConflict, what); }

[[nodiscard]] inline std::string InTask(std::uint32_t task) { return " in task " + std::to_string(task); }

}  // namespace hemafed
