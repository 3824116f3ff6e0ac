// SPDX-License-Identifier: Apache-2.0
#include "learning/data/synthetic/contact_sheet.h"

#include <opencv2/imgproc.hpp>
#include <vector>

#include "common/error.h"
#include "learning/data/picture_sheet.h"
#include "learning/data/synthetic/smear.h"

namespace hemafed::learning::synthetic {

cv::Mat DrawContactSheet(const ContactSheetSettings& settings) {
  if (settings.samples < 1 || settings.samples > 8 || settings.tile_px < 32 || settings.tile_px > 256) {
    throw Error(ErrorCode::kInvalidInput, "a contact sheet has 1 to 8 samples of 32 to 256 pixels in each cell");
  }
  const int tile = static_cast<int>(settings.tile_px);
  const int samples = static_cast<int>(settings.samples);
  SheetLayout layout{.tile = cv::Size(samples * tile, tile), .columns = static_cast<int>(kSmearClasses.size())};
  layout.headers.assign(kSmearClasses.begin(), kSmearClasses.end());
  std::vector<SheetTile> tiles;
  for (const HospitalProfile& profile : HospitalProfiles()) {
    layout.labels.emplace_back(profile.name);
    for (std::size_t column = 0; column < kSmearClasses.size(); ++column) {
      cv::Mat side_by_side(layout.tile, CV_8UC3);
      for (int sample = 0; sample < samples; ++sample) {
        cv::Mat picture = DrawSmear(profile, settings.seed, column, static_cast<std::uint32_t>(sample));
        cv::resize(picture, picture, cv::Size(tile, tile), 0, 0,
                   picture.cols >= tile ? cv::INTER_AREA : cv::INTER_CUBIC);
        picture.copyTo(side_by_side(cv::Rect(sample * tile, 0, tile, tile)));
      }
      tiles.push_back({side_by_side, {}});
    }
  }
  return DrawSheet(layout, tiles);
}

Bytes EncodeContactSheet(const ContactSheetSettings& settings) {
  cv::Mat sheet = DrawContactSheet(settings);
  for (int y = 0; y < sheet.rows; ++y) {
    auto* const row = sheet.ptr<std::uint8_t>(y);
    for (int i = 0; i < 3 * sheet.cols; ++i)
      row[i] = static_cast<std::uint8_t>(row[i] > 252 ? 255 : (row[i] + 2) / 4 * 4);
  }
  return EncodePng(sheet);
}

}  // namespace hemafed::learning::synthetic
