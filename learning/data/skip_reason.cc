// SPDX-License-Identifier: Apache-2.0
#include "learning/data/skip_reason.h"

namespace hemafed::learning {

namespace {

struct Words {
  std::string_view name;
  std::string_view text;
};

Words WordsOf(SkipReason reason) noexcept {
  switch (reason) {
    case SkipReason::kHidden: return {"hidden", "hidden (a name starts with a dot)"};
    case SkipReason::kEscapesFolder: return {"escapes_folder", "path leads out of the folder"};
    case SkipReason::kBadName: return {"bad_name", "unusable name (control characters, not UTF-8, or too long)"};
    case SkipReason::kNoClass: return {"no_class", "outside every class folder"};
    case SkipReason::kDroppedLabel: return {"dropped_label", "label left out by the label map"};
    case SkipReason::kLeftOut: return {"left_out", "name left out by the label map"};
    case SkipReason::kUnknownLabel: return {"unknown_label", "label not in the label map"};
    case SkipReason::kMissing: return {"missing", "named in the manifest but not there"};
    case SkipReason::kUnreadable: return {"unreadable", "cannot be read"};
    case SkipReason::kNotAFile: return {"not_a_file", "not a regular file"};
    case SkipReason::kEmpty: return {"empty", "zero bytes"};
    case SkipReason::kFileTooLarge: return {"file_too_large", "file too large"};
    case SkipReason::kDigestDiffers: return {"digest_differs", "content is not what the manifest says (SHA-256)"};
    case SkipReason::kNotAPicture: return {"not_a_picture", "not a picture (JPEG, PNG, BMP or TIFF)"};
    case SkipReason::kUnsupported: return {"unsupported", "a variant of the format that is not read"};
    case SkipReason::kTruncated: return {"truncated", "file ends before the picture does"};
    case SkipReason::kTooManyPixels: return {"too_many_pixels", "claims too many pixels"};
    case SkipReason::kTooSmall: return {"too_small", "too few pixels"};
    case SkipReason::kUndecodable: return {"undecodable", "damaged: the decoder gives up"};
    case SkipReason::kSizeDiffers: return {"size_differs", "width or height are not the manifest's"};
    case SkipReason::kDuplicate: return {"duplicate", "byte-identical to another picture"};
    case SkipReason::kContradictoryLabel:
      return {"contradictory_label", "byte-identical pictures with different classes"};
  }
  return {"unknown", "unknown"};
}

}  // namespace

std::string_view SkipReasonName(SkipReason reason) noexcept { return WordsOf(reason).name; }
std::string_view SkipReasonText(SkipReason reason) noexcept { return WordsOf(reason).text; }

}  // namespace hemafed::learning
