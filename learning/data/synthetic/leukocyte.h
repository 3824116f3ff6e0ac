// learning/data/synthetic/leukocyte.h
// SPDX-License-Identifier: Apache-2.0
//
// Draws one white blood cell of a class, from what a textbook says about it:
//
//   class                nucleus                               granules                         cytoplasm
//   basophil             lobulated, pale, half hidden          coarse, blue-black, over all     little, pale violet
//   eosinophil           two (rarely three) fat lobes          packed, round, orange-red        hidden by granules
//   lymphocyte_typical   round, dense, clumped, nearly fills   none                             thin blue rim
//   monocyte             kidney or fold, loose chromatin       fine dust                        ample, grey-blue,
//   vacuoles neutrophil           3 to 5 lobes on thin strands, or a    fine, violet-pink                ample, pale
//   pink
//                        band (one in seven)
//
// Sizes are diameters in a dried smear: lymphocyte 8 to 12 um, granulocytes 11 to 15 um, monocyte 14 to 19 um.
//
// Thread-safety: free function; the canvas and the stream belong to the caller's thread.
#pragma once

#include <array>
#include <opencv2/core/types.hpp>
#include <string_view>

#include "common/random.h"
#include "learning/data/synthetic/canvas.h"

namespace hemafed::learning::synthetic {

// The classes that can be drawn, in the order of their indices; the common names of the published sets.
inline constexpr std::array<std::string_view, 5> kSmearClasses = {"basophil", "eosinophil", "lymphocyte_typical",
                                                                  "monocyte", "neutrophil"};

// Draws a cell of class kSmearClasses[class_index] at `centre` (um), all lengths multiplied by `scale`.
void DrawLeukocyte(Canvas& canvas, std::size_t class_index, cv::Point2d centre, double scale, RandomStream& random);

}  // namespace hemafed::learning::synthetic
