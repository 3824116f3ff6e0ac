// SPDX-License-Identifier: Apache-2.0
#include "learning/data/picture_sheet.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string_view>

#include "common/error.h"

namespace hemafed::learning {

namespace {

constexpr int kGap = 6;        // pixels between tiles
constexpr int kHeader = 26;    // height of the line with the headers
constexpr int kRowLabel = 24;  // width of the column with the labels
constexpr int kCaption = 20;   // height of the line below a tile
constexpr double kFontSize = 0.45;
constexpr double kCaptionSize = 0.35;

cv::Size SizeOfText(const std::string& words, double font) {
  int below = 0;
  return cv::getTextSize(words, cv::FONT_HERSHEY_SIMPLEX, font, 1, &below);
}

// Text in the middle of a field.
void Write(cv::Mat& sheet, const cv::Rect& field, const std::string& words, double font) {
  const cv::Size size = SizeOfText(words, font);
  const cv::Point at(field.x + (field.width - size.width) / 2, field.y + (field.height + size.height) / 2);
  cv::putText(sheet, words, at, cv::FONT_HERSHEY_SIMPLEX, font, cv::Scalar::all(40), 1, cv::LINE_AA);
}

// The end of a name tells more than its start (folders come first). OpenCV's font has ASCII only.
std::string Shortened(std::string_view words, int width) {
  std::string text;
  for (const char c : words) text += c >= ' ' && c <= '~' ? c : '?';
  if (SizeOfText(text, kCaptionSize).width <= width) return text;
  while (text.size() > 1 && SizeOfText(".." + text, kCaptionSize).width > width) text.erase(0, 1);
  return ".." + text;
}

}  // namespace

cv::Mat DrawSheet(const SheetLayout& layout, const std::vector<SheetTile>& tiles) {
  const int columns = layout.columns;
  const int rows = columns < 1 ? 0
                               : static_cast<int>((tiles.size() + static_cast<std::size_t>(columns) - 1) /
                                                  static_cast<std::size_t>(columns));
  const bool fits = columns >= 1 && columns <= 1000 && !tiles.empty() && layout.tile.width >= 1 &&
                    layout.tile.height >= 1 && layout.tile.width <= 4096 && layout.tile.height <= 4096 &&
                    (layout.headers.empty() || layout.headers.size() == static_cast<std::size_t>(columns)) &&
                    (layout.labels.empty() || layout.labels.size() == static_cast<std::size_t>(rows));
  if (!fits) throw Error(ErrorCode::kInvalidInput, "a sheet needs tiles, columns, and a name for each or for none");
  const cv::Size step(layout.tile.width + kGap, layout.tile.height + kGap + (layout.captions ? kCaption : 0));
  const int left = layout.labels.empty() ? 0 : kRowLabel;
  const int top = layout.headers.empty() ? 0 : kHeader;
  const std::uint64_t width = static_cast<std::uint64_t>(left) + static_cast<std::uint64_t>(columns * step.width);
  const std::uint64_t height =
      static_cast<std::uint64_t>(top) + static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(step.height);
  if (width * height > kMaxSheetPixels) {
    throw Error(ErrorCode::kInvalidInput,
                "a sheet of " + std::to_string(tiles.size()) +
                    " tiles is too large to look at; make several with fewer, or smaller, tiles");
  }
  cv::Mat sheet(static_cast<int>(height), static_cast<int>(width), CV_8UC3, cv::Scalar::all(255));
  for (std::size_t i = 0; i < layout.headers.size(); ++i) {
    Write(sheet, cv::Rect(left + static_cast<int>(i) * step.width, 0, layout.tile.width, kHeader), layout.headers[i],
          kFontSize);
  }
  for (std::size_t i = 0; i < layout.labels.size(); ++i) {
    cv::Mat label(kRowLabel, layout.tile.height, CV_8UC3, cv::Scalar::all(255));
    Write(label, cv::Rect(0, 0, layout.tile.height, kRowLabel), layout.labels[i], kFontSize);
    cv::rotate(label, label, cv::ROTATE_90_COUNTERCLOCKWISE);
    label.copyTo(sheet(cv::Rect(cv::Point(0, top + static_cast<int>(i) * step.height), label.size())));
  }
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    cv::Mat picture = tiles[i].picture;
    if (picture.empty() || picture.type() != CV_8UC3) {
      throw Error(ErrorCode::kInvalidInput, "a sheet shows 8-bit RGB pictures only");
    }
    if (picture.size() != layout.tile) {
      cv::resize(picture, picture, layout.tile, 0, 0,
                 picture.cols >= layout.tile.width ? cv::INTER_AREA : cv::INTER_CUBIC);
    }
    const cv::Point at(left + static_cast<int>(i) % columns * step.width,
                       top + static_cast<int>(i) / columns * step.height);
    picture.copyTo(sheet(cv::Rect(at, layout.tile)));
    if (layout.captions) {
      Write(sheet, cv::Rect(at.x, at.y + layout.tile.height, layout.tile.width, kCaption),
            Shortened(tiles[i].caption, layout.tile.width), kCaptionSize);
    }
  }
  return sheet;
}

Bytes EncodePng(const cv::Mat& rgb, int level) {
  if (rgb.empty() || rgb.type() != CV_8UC3) {
    throw Error(ErrorCode::kInvalidInput, "only 8-bit RGB pictures become PNG files here");
  }
  const std::string what =
      "a PNG file of " + std::to_string(rgb.cols) + " x " + std::to_string(rgb.rows) + " pixels could not be encoded";
  try {
    cv::Mat bgr;
    cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
    Bytes file;
    // OpenCV's own default strategy (runs) suits drawings; pictures are a third smaller with zlib's.
    const std::vector<int> how = {cv::IMWRITE_PNG_COMPRESSION, level, cv::IMWRITE_PNG_STRATEGY,
                                  cv::IMWRITE_PNG_STRATEGY_DEFAULT};
    if (!cv::imencode(".png", bgr, file, how)) throw Error(ErrorCode::kInternal, what);
    return file;
  } catch (const cv::Exception& failure) {
    throw Error(ErrorCode::kInternal, what + ": " + failure.what());
  }
}

}  // namespace hemafed::learning
