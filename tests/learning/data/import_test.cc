// SPDX-License-Identifier: Apache-2.0
#include "learning/data/import.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "learning/data/manifest.h"
#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::Scratch;
using testing_support::Png;
using testing_support::WithBigEndian32;
using testing_support::Write;

LabelMap Labels(const char* unknown = "error") {
  return LabelMap::Parse("name = \"test\"\nunknown = \"" + std::string(unknown) + R"("
dropped = ["none", "ig"]
[[class]]
name = "basophil"
labels = ["basophil", "BA"]
[[class]]
name = "monocyte"
labels = ["monocyte", "MO"]
)",
                         "labels.toml");
}

ManifestRow Row(const std::string& file, const std::string& content, const std::string& label = "basophil",
                Split split = Split::kTrain) {
  return {file, label, label, split, 40, 32, Sha256Of(content)};
}

void WriteManifest(const Scratch& scratch, const std::vector<ManifestRow>& rows) {
  Write(scratch / "manifest.csv", FormatManifest(rows));
}

// Lists folders backwards, as another operating system might.
class BackwardsFileSystem final : public FileSystem {
 public:
  std::unique_ptr<WritableFile> Create(const Path& p, unsigned mode) override { return real_.Create(p, mode); }
  std::unique_ptr<WritableFile> OpenForAppend(const Path& p) override { return real_.OpenForAppend(p); }
  std::unique_ptr<ReadableFile> OpenForRead(const Path& p) override { return real_.OpenForRead(p); }
  std::optional<std::uint64_t> SizeOf(const Path& p) override { return real_.SizeOf(p); }
  std::vector<std::string> List(const Path& folder) override {
    auto names = real_.List(folder);
    std::reverse(names.begin(), names.end());
    return names;
  }
  void Rename(const Path& from, const Path& to) override { real_.Rename(from, to); }
  void Remove(const Path& p) override { real_.Remove(p); }
  void Truncate(const Path& p, std::uint64_t size) override { real_.Truncate(p, size); }
  void CreateFolders(const Path& p, unsigned mode) override { real_.CreateFolders(p, mode); }
  void SyncDirectory(const Path& p) override { real_.SyncDirectory(p); }

 private:
  FileSystem& real_ = RealFileSystem();
};

TEST(ImportManifest, KeepsSplitGroupAndPatientAndOrdersByDigest) {
  const Scratch scratch;
  Write(scratch / "a/1.png", Png(1));
  Write(scratch / "a/2.png", Png(2));
  Write(scratch / "b/3.png", Png(3));
  WriteManifest(scratch, {Row("a/1.png", Png(1)), Row("a/2.png", Png(2), "basophil", Split::kTest),
                          Row("b/3.png", Png(3), "monocyte"), Row("b/4.png", "dropped", "none")});
  Write(scratch / "sources.csv", "file,change,group\na/1.png,\"cut, scaled\",field 1\n");
  Write(scratch / "patients.csv", "file,patient\nb/3.png,P7\n");
  const Import got = ImportManifest(RealFileSystem(), scratch.path(), "barcelona", Labels());
  ASSERT_EQ(got.index.pictures.size(), 3u);
  EXPECT_TRUE(std::is_sorted(got.index.pictures.begin(), got.index.pictures.end(),
                             [](const auto& a, const auto& b) { return a.digest < b.digest; }));
  for (const PictureEntry& picture : got.index.pictures) {
    EXPECT_EQ(picture.split == Split::kTest, picture.file == "a/2.png");
    EXPECT_EQ(picture.group, picture.file == "a/1.png" ? "field 1" : "");
    EXPECT_EQ(picture.patient, picture.file == "b/3.png" ? "P7" : "");
    EXPECT_EQ(picture.width, 40u);
    EXPECT_EQ(picture.height, 32u);
    EXPECT_EQ(picture.bytes, RealFileSystem().SizeOf(scratch / picture.file));
  }
  EXPECT_EQ(got.index.CountsPerClass(Split::kTrain), (std::vector<std::uint64_t>{1, 1}));
  EXPECT_EQ(got.report.Skipped(SkipReason::kDroppedLabel), 1u);
  EXPECT_EQ(got.report.SkippedInAll(), 1u);
}

TEST(ImportManifest, CountsAndNamesEveryBadFileAndKeepsTheGoodOnes) {
  const Scratch scratch;
  const std::string good = Png(1);
  const std::string huge = WithBigEndian32(WithBigEndian32(Png(2), 16, 60'000), 20, 60'000);
  const std::string half = Png(3).substr(0, 200);
  const std::string tiny = Png(4, 1, 1);
  Write(scratch / "data/good.png", good);
  Write(scratch / "data/text.png", "not a picture");
  Write(scratch / "data/half.png", half);
  Write(scratch / "data/empty.png", "");
  Write(scratch / "data/tiny.png", tiny);
  Write(scratch / "data/huge.png", huge);
  Write(scratch / "data/changed.png", Png(5));
  Write(scratch / "data/other_size.png", Png(6, 50, 50));
  Write(scratch / "data/copy.png", good);
  Write(scratch / "data/.hidden.png", Png(7));
  Write(scratch / "outside.png", Png(8));
  std::filesystem::create_symlink(scratch / "outside.png", scratch / "data/link.png");
  std::filesystem::create_directories(scratch / "data/folder.png");
  ManifestRow folder = Row("folder.png", "");
  Write(scratch / "data/manifest.csv",
        FormatManifest({Row("good.png", good), Row("text.png", "not a picture"), Row("half.png", half),
                        Row("empty.png", ""), Row("tiny.png", tiny), Row("huge.png", huge), Row("changed.png", Png(9)),
                        Row("other_size.png", Png(6, 50, 50)), Row("copy.png", good), Row(".hidden.png", Png(7)),
                        Row("../outside.png", Png(8)), Row("link.png", Png(8)), Row("absent.png", ""), folder,
                        Row("a\\b.png", "")}));
  const Import got = ImportManifest(RealFileSystem(), scratch / "data", "d", Labels());
  ASSERT_EQ(got.index.pictures.size(), 1u);
  // Of two identical files the one with the smaller path is kept.
  EXPECT_EQ(got.index.pictures[0].file, "copy.png");
  const std::map<SkipReason, std::uint64_t> want = {
      {SkipReason::kNotAPicture, 1},   {SkipReason::kTruncated, 1},     {SkipReason::kEmpty, 1},
      {SkipReason::kTooSmall, 1},      {SkipReason::kTooManyPixels, 1}, {SkipReason::kDigestDiffers, 1},
      {SkipReason::kSizeDiffers, 1},   {SkipReason::kDuplicate, 1},     {SkipReason::kHidden, 1},
      {SkipReason::kEscapesFolder, 2}, {SkipReason::kMissing, 1},       {SkipReason::kNotAFile, 1},
      {SkipReason::kBadName, 1}};
  for (std::size_t i = 0; i < kSkipReasonCount; ++i) {
    const auto reason = static_cast<SkipReason>(i);
    const auto found = want.find(reason);
    EXPECT_EQ(got.report.Skipped(reason), found == want.end() ? 0u : found->second) << SkipReasonName(reason);
  }
  EXPECT_EQ(got.report.skipped().size(), 14u);
  const std::string text = got.report.ToText();
  for (const SkippedFile& file : got.report.skipped()) EXPECT_NE(text.find(file.file), std::string::npos) << file.file;
  EXPECT_NE(text.find("good.png (of copy.png)"), std::string::npos) << text;
  const nlohmann::json json = got.report.ToJson();
  EXPECT_EQ(json["pictures"], 1);
  EXPECT_EQ(json["skipped"]["escapes_folder"], 2);
  EXPECT_EQ(json["classes"][0], (nlohmann::json{{"class", "basophil"}, {"train", 1}, {"test", 0}}));
  EXPECT_EQ(json["skipped_files"].size(), 14u);
}

TEST(ImportManifest, NeverLeavesAPictureInBothSplitsOrClasses) {
  const Scratch scratch;
  for (const char* name : {"a.png", "b.png"}) Write(scratch / name, Png(1));
  for (const char* name : {"c.png", "d.png"}) Write(scratch / name, Png(2));
  Write(scratch / "e.png", Png(3));
  WriteManifest(scratch, {Row("a.png", Png(1)), Row("b.png", Png(1), "basophil", Split::kTest), Row("c.png", Png(2)),
                          Row("d.png", Png(2), "monocyte"), Row("e.png", Png(3))});
  const Import got = ImportManifest(RealFileSystem(), scratch.path(), "d", Labels());
  ASSERT_EQ(got.index.pictures.size(), 2u);
  for (const PictureEntry& picture : got.index.pictures) {
    if (picture.digest == Sha256Of(Png(1))) {
      EXPECT_EQ(picture.file, "b.png") << "the test side is kept";
    }
  }
  EXPECT_EQ(got.report.Skipped(SkipReason::kDuplicate), 1u);
  EXPECT_EQ(got.report.Skipped(SkipReason::kContradictoryLabel), 2u);
}

TEST(ImportManifest, EndsOnWhatAPersonMustDecide) {
  const Scratch scratch;
  const auto import = [&](const LabelMap& labels, const char* domain = "d") {
    return ImportManifest(RealFileSystem(), scratch.path(), domain, labels);
  };
  EXPECT_ERROR(ErrorCode::kNotFound, "manifest.csv; name a folder with a manifest", (void)import(Labels()));
  Write(scratch / "a.png", Png(1));
  WriteManifest(scratch, {Row("a.png", Png(1)), Row("b.png", "", "blast"), Row("c.png", "", "blast"),
                          Row("d.png", "", "plasma")});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'blast' (2 files), 'plasma' (1 files)", (void)import(Labels()));
  const Import skipped = import(Labels("skip"));
  EXPECT_EQ(skipped.report.Skipped(SkipReason::kUnknownLabel), 3u);
  EXPECT_NE(skipped.report.ToText().find("blast 2; plasma 1;"), std::string::npos) << skipped.report.ToText();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "is no name for a domain", (void)import(Labels("skip"), "A/b"));
  WriteManifest(scratch, {Row("a.png", "something else")});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "content is not what the manifest says", (void)import(Labels()));
  EXPECT_ERROR(ErrorCode::kNotFound, "there is no folder",
               (void)ImportManifest(RealFileSystem(), scratch / "absent", "d", Labels()));
}

TEST(ImportManifest, StopsWhenAskedTo) {
  const Scratch scratch;
  Write(scratch / "a.png", Png(1));
  WriteManifest(scratch, {Row("a.png", Png(1))});
  std::vector<std::uint64_t> seen;
  const auto stop = [&](std::uint64_t done, std::uint64_t total) {
    seen = {done, total};
    return false;
  };
  EXPECT_ERROR(ErrorCode::kInterrupted, "start it again",
               (void)ImportManifest(RealFileSystem(), scratch.path(), "d", Labels(), stop));
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{1, 1}));
}

TEST(ImportTree, TakesTheClassFromTheFirstFolderEvenWhereItIsDoubled) {
  const Scratch scratch;
  for (std::uint64_t i = 0; i < 10; ++i) Write(scratch / ("basophil/basophil/" + std::to_string(i) + ".png"), Png(i));
  for (std::uint64_t i = 0; i < 5; ++i) Write(scratch / ("MO/" + std::to_string(i) + ".PNG"), Png(100 + i));
  Write(scratch / "ig/1.png", Png(200));
  Write(scratch / "README.txt", "hello");
  Write(scratch / "basophil/Thumbs.db", "thumbs");
  Write(scratch / "basophil/.DS_Store", "x");
  Write(scratch / ".cache/1.png", Png(201));
  const Import got = ImportTree(RealFileSystem(), scratch.path(), "tree", Labels());
  EXPECT_EQ(got.index.CountsPerClass(Split::kTrain), (std::vector<std::uint64_t>{8, 4}));
  EXPECT_EQ(got.index.CountsPerClass(Split::kTest), (std::vector<std::uint64_t>{2, 1}));
  EXPECT_EQ(got.report.Skipped(SkipReason::kNoClass), 1u);
  EXPECT_EQ(got.report.Skipped(SkipReason::kNotAPicture), 1u);
  EXPECT_EQ(got.report.Skipped(SkipReason::kHidden), 2u) << "a hidden folder counts once";
  EXPECT_EQ(got.report.Skipped(SkipReason::kDroppedLabel), 1u);
}

TEST(ImportTree, TakesTheClassFromTheFileNameWhereTheSourceSaysItThere) {
  const Scratch scratch;
  for (std::uint64_t i = 0; i < 5; ++i) Write(scratch / ("ig/BA_" + std::to_string(i) + ".png"), Png(i));
  Write(scratch / "ig/MO_1.png", Png(20));
  Write(scratch / "ig/nameless.png", Png(21));
  const Import got =
      ImportTree(RealFileSystem(), scratch.path(), "tree", Labels(), {.label_rule = LabelRule::kFilePrefix});
  EXPECT_EQ(got.index.pictures.size(), 6u);
  EXPECT_EQ(got.report.Skipped(SkipReason::kNoClass), 1u);
}

TEST(ImportTree, MakesTheSameIndexWhateverTheOrderOfListing) {
  const Scratch scratch;
  for (std::uint64_t i = 0; i < 12; ++i) Write(scratch / ("BA/" + std::to_string(i) + ".png"), Png(i));
  for (std::uint64_t i = 0; i < 12; ++i) Write(scratch / ("MO/" + std::to_string(i) + ".png"), Png(50 + i));
  Write(scratch / "MO/copy.png", Png(50));
  BackwardsFileSystem backwards;
  const Import forward = ImportTree(RealFileSystem(), scratch.path(), "tree", Labels());
  EXPECT_EQ(ImportTree(backwards, scratch.path(), "tree", Labels()).index, forward.index);
  // Nor do names matter for the split: the same pictures elsewhere.
  const Scratch other;
  for (std::uint64_t i = 0; i < 12; ++i) Write(other / ("basophil/x" + std::to_string(11 - i) + ".png"), Png(i));
  for (std::uint64_t i = 0; i < 12; ++i) Write(other / ("monocyte/y" + std::to_string(i) + ".png"), Png(50 + i));
  const Import renamed = ImportTree(RealFileSystem(), other.path(), "tree", Labels());
  ASSERT_EQ(renamed.index.pictures.size(), forward.index.pictures.size());
  for (std::size_t i = 0; i < renamed.index.pictures.size(); ++i) {
    EXPECT_EQ(renamed.index.pictures[i].digest, forward.index.pictures[i].digest);
    EXPECT_EQ(renamed.index.pictures[i].split, forward.index.pictures[i].split);
  }
}

TEST(ImportTree, KeepsPatientsOnOneSide) {
  const Scratch scratch;
  std::string patients = "file,patient\n";
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::string file = (i < 20 ? "BA/" : "MO/") + std::to_string(i) + ".png";
    Write(scratch / file, Png(i));
    patients += file + ",p" + std::to_string(i % 8) + "\n";
  }
  Write(scratch / "patients.csv", patients);
  const Import got = ImportTree(RealFileSystem(), scratch.path(), "tree", Labels());
  EXPECT_EQ(got.report.SkippedInAll(), 0u);
  std::map<std::string, Split> side;
  for (const PictureEntry& picture : got.index.pictures) {
    EXPECT_EQ(side.emplace(picture.patient, picture.split).first->second, picture.split) << picture.patient;
  }
  EXPECT_EQ(side.size(), 8u);
  EXPECT_GT(got.index.Positions(Split::kTest).size(), 0u);
}

TEST(ImportTree, DoesNotFollowLinksOutOfTheFolderOrInCircles) {
  const Scratch scratch;
  Write(scratch / "data/BA/1.png", Png(1));
  Write(scratch / "elsewhere/2.png", Png(2));
  std::filesystem::create_directory_symlink(scratch / "elsewhere", scratch / "data/MO");
  std::filesystem::create_directory_symlink(scratch / "data", scratch / "data/BA/again");
  std::filesystem::create_symlink(scratch / "elsewhere/2.png", scratch / "data/BA/2.png");
  const Import got = ImportTree(RealFileSystem(), scratch / "data", "tree", Labels());
  ASSERT_EQ(got.index.pictures.size(), 1u);
  EXPECT_EQ(got.report.Skipped(SkipReason::kEscapesFolder), 1u);
  EXPECT_EQ(got.report.Skipped(SkipReason::kNoClass), 1u) << "the linked class folder is an entry, not a class";
  EXPECT_EQ(got.report.Skipped(SkipReason::kNotAFile), 1u);
}

TEST(ImportReport, ShowsForeignNamesWithoutObeyingThem) {
  ImportReport report;
  report.Skip("a\x1B[2J.png", SkipReason::kBadName);
  report.Skip("b\xFF.png", SkipReason::kBadName);
  EXPECT_EQ(report.ToText().find('\x1B'), std::string::npos);
  EXPECT_NO_THROW((void)report.ToJson().dump());
}

}  // namespace
}  // namespace hemafed::learning
