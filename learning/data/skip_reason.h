// learning/data/skip_reason.h
// SPDX-License-Identifier: Apache-2.0
//
// Why an import left a file out. One bad file never ends an import: it is counted under one of these and named in the
// report (import_report.h).
//
// Thread-safety: free functions without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hemafed::learning {

enum class SkipReason : std::uint8_t {
  kHidden,              // A part of the path starts with a dot.
  kEscapesFolder,       // The path, or a link on it, leads out of the domain folder.
  kBadName,             // Control characters, not UTF-8, a backslash, or too long.
  kNoClass,             // Lies outside every class folder, or has no label in its name.
  kDroppedLabel,        // The label map leaves this label out on purpose.
  kLeftOut,             // The label map leaves out files with this name on purpose.
  kUnknownLabel,        // The label map does not mention this label (and says that such files are skipped).
  kMissing,             // The manifest names a file that is not there.
  kUnreadable,          // The operating system refuses to read it.
  kNotAFile,            // A folder, device or pipe where a picture should be.
  kEmpty,               // Zero bytes.
  kFileTooLarge,        // More than kMaxPictureFileBytes.
  kDigestDiffers,       // Its SHA-256 is not the manifest's.
  kNotAPicture,         // None of JPEG, PNG, BMP, TIFF.
  kUnsupported,         // One of these, in a form that is not read (compressed BMP, BigTIFF, ...).
  kTruncated,           // The file ends before the picture does.
  kTooManyPixels,       // Claims more than kMaxPicturePixels.
  kTooSmall,            // A side is shorter than kMinPictureSide.
  kUndecodable,         // The decoder gives up on it.
  kSizeDiffers,         // Width or height are not the manifest's.
  kDuplicate,           // Byte-identical to a picture that is kept.
  kContradictoryLabel,  // Byte-identical pictures carry different classes: none of them is kept.
};

inline constexpr std::size_t kSkipReasonCount = static_cast<std::size_t>(SkipReason::kContradictoryLabel) + 1;

// Stable name for JSON and tests ("not_a_picture").
[[nodiscard]] std::string_view SkipReasonName(SkipReason reason) noexcept;
// A phrase for people ("not a picture (JPEG, PNG, BMP or TIFF)").
[[nodiscard]] std::string_view SkipReasonText(SkipReason reason) noexcept;

}  // namespace hemafed::learning
