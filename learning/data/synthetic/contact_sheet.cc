// SPDX-License-Identifier: Apache-2.0
#include "learning/data/synthetic/contact_sheet.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <string_view>

#include "common/error.h"
#include "learning/data/synthetic/smear.h"

namespace hemafed::learning::synthetic {

namespace {

constexpr int kGap = 6;        // pixels between cells of the sheet
constexpr int kHeader = 26;    // height of the line with the classes
constexpr int kRowLabel = 24;  // width of the column with the hospitals, written upwards
constexpr double kFontSize = 0.45;

// Text in the middle of a field.
void Write(cv::Mat& sheet, const cv::Rect& field, std::string_view text) {
  const std::string words(text);
  int below = 0;
  const cv::Size size = cv::getTextSize(words, cv::FONT_HERSHEY_SIMPLEX, kFontSize, 1, &below);
  const cv::Point at(field.x + (field.width - size.width) / 2, field.y + (field.height + size.height) / 2);
  cv::putText(sheet, words, at, cv::FONT_HERSHEY_SIMPLEX, kFontSize, cv::Scalar::all(40), 1, cv::LINE_AA);
}

}  // namespace

cv::Mat DrawContactSheet(const ContactSheetSettings& settings) {
  if (settings.samples < 1 || settings.samples > 8 || settings.tile_px < 32 || settings.tile_px > 256) {
    throw Error(ErrorCode::kInvalidInput, "a contact sheet has 1 to 8 samples of 32 to 256 pixels in each cell");
  }
  const auto profiles = HospitalProfiles();
  const int tile = static_cast<int>(settings.tile_px);
  const int samples = static_cast<int>(settings.samples);
  const int cell = samples * tile + kGap;
  const int width = kRowLabel + static_cast<int>(kSmearClasses.size()) * cell;
  const int height = kHeader + static_cast<int>(profiles.size()) * (tile + kGap);
  cv::Mat sheet(height, width, CV_8UC3, cv::Scalar::all(255));
  for (int column = 0; column < static_cast<int>(kSmearClasses.size()); ++column) {
    Write(sheet, cv::Rect(kRowLabel + column * cell, 0, cell - kGap, kHeader),
          kSmearClasses[static_cast<std::size_t>(column)]);
  }
  for (int row = 0; row < static_cast<int>(profiles.size()); ++row) {
    const HospitalProfile& profile = profiles[static_cast<std::size_t>(row)];
    const int top = kHeader + row * (tile + kGap);
    cv::Mat label(kRowLabel, tile, CV_8UC3, cv::Scalar::all(255));
    Write(label, cv::Rect(0, 0, tile, kRowLabel), profile.name);
    cv::rotate(label, label, cv::ROTATE_90_COUNTERCLOCKWISE);
    label.copyTo(sheet(cv::Rect(0, top, kRowLabel, tile)));
    for (int column = 0; column < static_cast<int>(kSmearClasses.size()); ++column) {
      for (int sample = 0; sample < samples; ++sample) {
        cv::Mat picture =
            DrawSmear(profile, settings.seed, static_cast<std::size_t>(column), static_cast<std::uint32_t>(sample));
        cv::resize(picture, picture, cv::Size(tile, tile), 0, 0,
                   picture.cols >= tile ? cv::INTER_AREA : cv::INTER_CUBIC);
        picture.copyTo(sheet(cv::Rect(kRowLabel + column * cell + sample * tile, top, tile, tile)));
      }
    }
  }
  return sheet;
}

Bytes EncodeContactSheet(const ContactSheetSettings& settings) {
  cv::Mat sheet = DrawContactSheet(settings);
  for (int y = 0; y < sheet.rows; ++y) {
    auto* const row = sheet.ptr<std::uint8_t>(y);
    for (int i = 0; i < 3 * sheet.cols; ++i)
      row[i] = static_cast<std::uint8_t>(row[i] > 252 ? 255 : (row[i] + 2) / 4 * 4);
  }
  cv::cvtColor(sheet, sheet, cv::COLOR_RGB2BGR);
  Bytes file;
  cv::imencode(".png", sheet, file,
               {cv::IMWRITE_PNG_COMPRESSION, 9, cv::IMWRITE_PNG_STRATEGY, cv::IMWRITE_PNG_STRATEGY_DEFAULT});
  return file;
}

}  // namespace hemafed::learning::synthetic
