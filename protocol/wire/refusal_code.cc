// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/refusal_code.h"

namespace hemafed::wire {

std::string_view RefusalCodeName(RefusalCode code) noexcept {
  switch (code) {
    case RefusalCode::kMalformed: return "malformed";
    case RefusalCode::kUnsupportedVersion: return "unsupported_version";
    case RefusalCode::kUnexpected: return "unexpected";
    case RefusalCode::kBusy: return "busy";
    case RefusalCode::kNotAllowed: return "not_allowed";
    case RefusalCode::kNotAuthorised: return "not_authorised";
    case RefusalCode::kBadToken: return "bad_token";
    case RefusalCode::kTokenExpired: return "token_expired";
    case RefusalCode::kBadSignature: return "bad_signature";
    case RefusalCode::kRejected: return "rejected";
    case RefusalCode::kUnknownObject: return "unknown_object";
    case RefusalCode::kTooLarge: return "too_large";
    case RefusalCode::kDigestMismatch: return "digest_mismatch";
    case RefusalCode::kNoSpace: return "no_space";
    case RefusalCode::kUnknownTransfer: return "unknown_transfer";
    case RefusalCode::kStorageFailed: return "storage_failed";
    case RefusalCode::kWrongPlan: return "wrong_plan";
    case RefusalCode::kClockSkew: return "clock_skew";
    case RefusalCode::kWrongRound: return "wrong_round";
    case RefusalCode::kWrongBase: return "wrong_base";
    case RefusalCode::kAlreadyReceived: return "already_received";
    case RefusalCode::kBadContent: return "bad_content";
    case RefusalCode::kOutOfBounds: return "out_of_bounds";
    case RefusalCode::kLogMismatch: return "log_mismatch";
    case RefusalCode::kInternal: return "internal";
  }
  return "unknown";
}

bool IsKnown(RefusalCode code) noexcept { return RefusalCodeName(code) != "unknown"; }

}  // namespace hemafed::wire
