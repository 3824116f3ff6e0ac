// common/report/svg.h
// SPDX-License-Identifier: Apache-2.0
//
// A drawing as SVG text (1.1; pictures use the plain href of SVG 2): self-contained, without scripts, style sheets or
// references to anything outside (pictures are data URIs). All text is escaped; coordinates have at most two digits
// after the point, and the same drawing gives the same bytes on every machine.
//
// Thread-safety: free functions without state.
#pragma once

#include <string>

#include "common/report/drawing.h"

namespace hemafed::report {

enum class SvgUse {
  kFile,    // A file of its own: XML declaration and name space.
  kInline,  // Inside an HTML page, which implies both.
};

[[nodiscard]] std::string RenderSvg(const Drawing& drawing, SvgUse use = SvgUse::kFile);

// "data:image/png;base64,..." of a PNG or JPEG file; kInvalidInput for anything else.
[[nodiscard]] std::string DataUri(ByteView file);

}  // namespace hemafed::report
