// protocol/wire/refusal_code.h
// SPDX-License-Identifier: Apache-2.0
//
// Why a party did not accept something. Each code has a page under docs/codes/ that says what happened and what to do.
// Numbers are part of the wire format: they are never used again for something else.
//
// Thread-safety: value type.
#pragma once

#include <cstdint>
#include <string_view>

namespace hemafed::wire {

enum class RefusalCode : std::uint16_t {
  // Wire.
  kMalformed = 1,           // The bytes are not a valid message.
  kUnsupportedVersion = 2,  // The other program speaks another version of the wire format.
  kUnexpected = 3,          // A valid message that has no place here or now.
  kBusy = 4,                // A stated limit of things at once is reached; the same request may work later.

  // Who may do what.
  kNotAllowed = 10,     // This key is not (or no longer) approved.
  kNotAuthorised = 11,  // This site may not do this with this object or round.
  kBadToken = 12,       // The invitation's secret is wrong or was used.
  kTokenExpired = 13,
  kBadSignature = 14,
  kRejected = 15,  // The operator rejected this enrolment.

  // Objects.
  kUnknownObject = 20,
  kTooLarge = 21,
  kDigestMismatch = 22,   // The bytes received do not have the digest they were announced under.
  kNoSpace = 23,          // The receiving disk is full.
  kUnknownTransfer = 24,  // No such transfer is under way (any more): ask again with get or put.
  kStorageFailed = 25,    // The receiving disk reported an error.

  // Rounds.
  kWrongPlan = 30,
  kClockSkew = 31,
  kWrongRound = 32,  // The round or task is not open, or is another one.
  kWrongBase = 33,   // The update does not start from the round's base model.
  kAlreadyReceived = 34,
  kBadContent = 35,   // A signed body has a field that is missing, unknown or out of range.
  kOutOfBounds = 36,  // An update is outside the plan's norm or value bounds.
  kLogMismatch = 37,  // A checkpoint does not extend the one seen before.

  kInternal = 99,  // A defect of the refusing program; its log says more.
};

[[nodiscard]] bool IsKnown(RefusalCode code) noexcept;
// "not_allowed", ...: the name of its page and in logs; "unknown" for a number without a name.
[[nodiscard]] std::string_view RefusalCodeName(RefusalCode code) noexcept;

}  // namespace hemafed::wire
