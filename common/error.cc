// SPDX-License-Identifier: Apache-2.0
#include "common/error.h"

namespace hemafed {

std::string_view ErrorCodeName(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidInput: return "invalid_input";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kRefused: return "refused";
    case ErrorCode::kCorrupt: return "corrupt";
    case ErrorCode::kNoSpace: return "no_space";
    case ErrorCode::kInterrupted: return "interrupted";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

int ExitStatus(ErrorCode code) noexcept {
  // 1 and 2 are left to the shell and to usage errors; 10 + code keeps ours apart from both.
  return 10 + static_cast<int>(code);
}

}  // namespace hemafed
