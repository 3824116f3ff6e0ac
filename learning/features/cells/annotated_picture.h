// learning/features/cells/annotated_picture.h
// SPDX-License-Identifier: Apache-2.0
//
// Pictures in which a person marked the cells: a domain folder with manifest.csv and masks/ or boxes.csv or both
// (docs/segment.md has the layout).
//
// masks/NNN.png, for the picture whose file name without extension is NNN: grey, of the picture's size. Level below 64
//   is background, 64 to 191 cytoplasm, 192 and above nucleus. Each 8-connected region that is not background and holds
//   at least one nucleus pixel is one cell. Parts of a nucleus do not make cells of their own, since most granulocytes
//   have two to five lobes; so two cells that touch in a mask are one region and one cell. (In jtsc and cellavision
//   each of the 321 masks is one region, with 1 to 6 nuclear parts, and none touches the border.) A cell that the
//   border cuts counts as what is seen of it. Regions without a nucleus, or below kMinCellPixels, are stray paint and
//   left out.
// boxes.csv: file,label,x0,y0,x1,y1 in pixels. Label WBC is a cell; other labels (RBC, Platelets) are kept apart. A
//   picture that is listed has all of its boxes. A WBC box of which kNestedShare or more lies in another one is the
//   same cell marked twice, and left out. A picture of a class other than "none" without a WBC box contradicts itself:
//   it is left out and named.
// A picture with a mask takes its cells from there, whatever boxes.csv says.
//
// Errors: kNotFound (no folder, no manifest.csv, neither masks nor boxes); kInvalidInput with file and line for a
// malformed table, a picture that the manifest lacks, a box outside its picture, a mask or picture of another size than
// the manifest's or that cannot be read. Nothing is skipped in silence. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"
#include "learning/data/dataset_index.h"
#include "learning/data/picture_folder.h"
#include "learning/features/cells/found_cell.h"

namespace hemafed::learning {

inline constexpr std::string_view kBoxesFile = "boxes.csv";
inline constexpr std::string_view kMasksFolder = "masks";
inline constexpr std::string_view kCellLabel = "WBC";

// Levels of a mask, from ../shared/data's README: a few cellavision masks have values beside 0, 128 and 255.
inline constexpr int kCytoplasmLevel = 64;
inline constexpr int kNucleusLevel = 192;
// Pixels of the smallest region that is a cell: 5 x 5, well below the 16 pixels that a picture's side must have.
inline constexpr int kMinCellPixels = 25;
// Two neighbours that touch overlap by up to a third of the smaller box; one cell marked twice, by all of it.
inline constexpr double kNestedShare = 0.9;
// Cells and other things in one picture: a 12-megapixel field of view has some hundred red cells.
inline constexpr std::size_t kMaxBoxesPerPicture = 2000;

struct LabelledBox {
  std::string label;
  cv::Rect2f box;
};

// What is known of one picture without opening it.
struct AnnotatedEntry {
  std::string file;  // relative to the domain folder
  std::string class_common;
  Split split = Split::kTrain;
  int width = 0;                    // pixels
  int height = 0;                   // pixels
  std::string mask;                 // relative to the domain folder; empty: boxes only
  std::vector<cv::Rect2f> cells;    // from boxes.csv; empty where there is a mask
  std::vector<LabelledBox> others;  // other labels
};

struct AnnotatedPicture {
  std::string file;
  Split split = Split::kTrain;
  cv::Mat rgb;                   // CV_8UC3
  std::vector<FoundCell> cells;  // score 1; with masks where has_masks
  std::vector<LabelledBox> others;
  bool has_masks = false;
  cv::Mat nuclei;  // CV_8UC1, 0/255, all cells' nuclei; empty without masks
};

// Cells of one mask of the kind above (CV_8UC1), in order of their first pixel by rows, and the nucleus pixels.
struct MaskCells {
  std::vector<FoundCell> cells;
  cv::Mat nuclei;
};
[[nodiscard]] MaskCells CellsOfMask(const cv::Mat& levels);

class AnnotatedDomain {
 public:
  // Reads the tables, not the pictures. `files` is borrowed.
  AnnotatedDomain(FileSystem& files, const Path& folder);

  [[nodiscard]] const std::string& name() const { return name_; }  // of the folder
  [[nodiscard]] const std::vector<AnnotatedEntry>& entries() const { return entries_; }
  // Positions of one split, ascending; entries are in the manifest's order.
  [[nodiscard]] std::vector<std::size_t> Positions(Split split) const;
  // What was left out of the annotations and why, a sentence each.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

  // SHA-256 of everything that Read gives for one entry: the bytes of picture and mask, split, boxes. Of all entries.
  // Reads the files; kInvalidInput for one that cannot be read.
  [[nodiscard]] Digest ContentOf(std::size_t position) const;
  [[nodiscard]] Digest Content() const;

  // Decodes one picture and its mask.
  [[nodiscard]] AnnotatedPicture Read(std::size_t position) const;

 private:
  void ReadManifest(FileSystem& files);
  void ReadBoxes(FileSystem& files);
  void DropNestedBoxes();
  [[nodiscard]] std::string BytesOf(const std::string& file) const;
  [[nodiscard]] cv::Mat Decode(const std::string& file, const AnnotatedEntry& entry) const;

  PictureFolder folder_;
  std::string name_;
  std::vector<AnnotatedEntry> entries_;
  std::vector<std::string> notes_;
};

}  // namespace hemafed::learning
