// SPDX-License-Identifier: Apache-2.0
#include "common/settings.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::Scratch;

constexpr std::string_view kText = R"(name = "three-labs"
seed = 7
share = 0.5
whole = 1
on = true
classes = ["basophil", "eosinophil"]
weights = "0000000000000000000000000000000000000000000000000000000000000001"

[training]
batch = 32
rate = 4e-3

[[task]]
site = "a"
[[task]]
site = "b"
)";

bool IsLowerCase(std::string_view text) {
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string_view::npos;
}
constexpr TextRule kLowerCase{"lower-case letters", IsLowerCase};

Settings Plan() { return Settings::Parse(kText, "plan.toml"); }

TEST(Settings, ReadsListsOfIntegersWithinTheirLimits) {
  const auto settings = Settings::Parse("seeds = [1, 2, 30]\nmixed = [1, 2.0]\none = 7\nempty = []\n", "study.toml");
  EXPECT_EQ(settings.IntegerList("seeds", 1, 3, 0, 30), (std::vector<std::int64_t>{1, 2, 30}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "holds 30, outside 0 to 29", (void)settings.IntegerList("seeds", 1, 3, 0, 29));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has 3 items, outside 1 to 2",
               (void)settings.IntegerList("seeds", 1, 2, 0, 99));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "nothing but integers", (void)settings.IntegerList("mixed", 1, 3, 0, 9));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "list of integers", (void)settings.IntegerList("one", 1, 3, 0, 9));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has 0 items", (void)settings.IntegerList("empty", 1, 3, 0, 9));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "is missing", (void)settings.IntegerList("none", 1, 3, 0, 9));
}

TEST(Settings, GiveEveryKindOfValue) {
  const Settings plan = Plan();
  EXPECT_EQ(plan.Text("name", 20, kLowerCase), "three-labs");
  EXPECT_EQ(plan.Integer("seed", 0, 10), 7);
  EXPECT_EQ(plan.Number("share", 0, 1), 0.5);
  EXPECT_EQ(plan.Number("whole", 0, 1), 1.0);
  EXPECT_TRUE(plan.Boolean("on"));
  EXPECT_EQ(plan.TextList("classes", 1, 2, 10, kLowerCase), (std::vector<std::string>{"basophil", "eosinophil"}));
  EXPECT_EQ(plan.Sha256Digest("weights").bytes.back(), 1);
  const Settings training = plan.Table("training");
  EXPECT_EQ(training.Integer("batch", 1, 64), 32);
  EXPECT_EQ(training.Number("rate", 0, 1), 0.004);
  const auto tasks = plan.Tables("task", 2);
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[1].Choice("site", {"a", "b"}), 1u);
  EXPECT_EQ(tasks[0].Text("site", 1), "a");
  plan.RequireAllRead();
}

TEST(Settings, UseTheFallbackOnlyWhenTheKeyIsMissing) {
  const Settings plan = Plan();
  EXPECT_EQ(plan.Integer("seed", 0, 10, 3), 7);
  EXPECT_EQ(plan.Integer("absent", 0, 10, 3), 3);
  EXPECT_EQ(plan.Number("absent", 0, 1, 0.25), 0.25);
  EXPECT_FALSE(plan.Boolean("absent", false));
  EXPECT_EQ(plan.Text("absent", 5, {}, "none"), "none");
  EXPECT_EQ(plan.Choice("absent", {"a", "b"}, 1), 1u);
  EXPECT_FALSE(plan.OptionalTable("absent").has_value());
  EXPECT_FALSE(plan.Has("absent"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'seed' is 7, outside 8 to 10", (void)plan.Integer("seed", 8, 10, 9));
}

TEST(Settings, NameFileLineColumnAndKeyOfEveryProblem) {
  const Settings plan = Plan();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plan.toml:2:8: 'seed' is 7, outside 0 to 6",
               (void)plan.Integer("seed", 0, 6));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plan.toml:3:9: 'share' must be an integer",
               (void)plan.Integer("share", 0, 6));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plan.toml:3:9: 'share' is 0.5, outside 0.6 to 1",
               (void)plan.Number("share", 0.6, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'on' must be a number", (void)plan.Number("on", 0, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'seed' must be true or false", (void)plan.Boolean("seed"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'seed' must be a text", (void)plan.Text("seed", 9));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'name' has 10 bytes, more than the 9 allowed", (void)plan.Text("name", 9));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'name' must be 64 hex",
               (void)plan.Text("name", 99, {"64 hex", [](std::string_view) { return false; }}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'name' must be a SHA-256 digest", (void)plan.Sha256Digest("name"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'name' is 'three-labs'; it must be one of: x, y",
               (void)plan.Choice("name", {"x", "y"}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plan.toml:6:11: 'classes' has 2 items, outside 3 to 4",
               (void)plan.TextList("classes", 3, 4, 9));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'classes' must be a table [classes]", (void)plan.Table("classes"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'training' must be a list of tables", (void)plan.Tables("training", 9));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'task' has 2 tables, more than the 1", (void)plan.Tables("task", 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plan.toml:9:1: 'training.epochs' is missing",
               (void)plan.Table("training").Integer("epochs", 0, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plan.toml:16:8: 'task[2].site' must be an integer",
               (void)plan.Tables("task", 2)[1].Integer("site", 0, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plan.toml:10:9: 'training.batch' must divide the pictures",
               plan.Table("training").Fail("batch", "must divide the pictures"));
}

TEST(Settings, RefuseAKeyThatNobodyAskedForAndNameTheNearest) {
  const Settings plan = Settings::Parse("seed = 1\n[training]\nbatch = 1\nmomentun = 0.9\n", "p.toml");
  (void)plan.Integer("seed", 0, 1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "p.toml:2:2: 'training' is not known here", plan.RequireAllRead());
  const Settings training = plan.Table("training");
  (void)training.Integer("batch", 0, 1);
  (void)training.Number("momentum", 0, 1, 0.0);
  EXPECT_ERROR(ErrorCode::kInvalidInput,
               "p.toml:4:1: 'training.momentun' is not known here; the nearest known key is 'momentum'",
               plan.RequireAllRead());
}

TEST(Settings, KnowATableThatWasReadInTwoPlaces) {
  const Settings plan = Settings::Parse("[t]\na = 1\nb = 2\n", "p.toml");
  EXPECT_EQ(plan.Table("t").Integer("a", 0, 9), 1);
  EXPECT_EQ(plan.Table("t").Integer("b", 0, 9), 2);
  plan.RequireAllRead();
}

TEST(Settings, RefuseTextsThatAreNotTomlOrTooLarge) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "p.toml:2:5: not TOML", (void)Settings::Parse("a = 1\nb = \n", "p.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not TOML", (void)Settings::Parse("a = 1\na = 2\n", "p.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not TOML", (void)Settings::Parse("a = \"\xff\"\n", "p.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "at most 65536",
               (void)Settings::Parse(std::string(kMaxSettingsBytes + 1, '\n'), "p.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "p.toml:2:1: the line is longer",
               (void)Settings::Parse("\na=\"" + std::string(kMaxSettingsLineBytes, 'x') + "\"", "p.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "control characters",
               (void)Settings::Parse("a = \"x\\ny\"", "p.toml").Text("a", 9));
}

TEST(Settings, SurviveTheDeepestNestingThatALineCanHold) {
  std::string dotted = "a";
  while (dotted.size() + 4 < kMaxSettingsLineBytes) dotted += ".a";
  const Settings settings = Settings::Parse(dotted + "=1", "p.toml");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'a' is not known here", settings.RequireAllRead());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not TOML", (void)Settings::Parse("a=" + std::string(4000, '['), "p.toml"));
}

TEST(Settings, LoadNamesTheFile) {
  const Scratch scratch;
  WriteFileAtomically(RealFileSystem(), scratch / "site.toml", "port = 70000\n");
  const Settings settings = Settings::Load(RealFileSystem(), scratch / "site.toml");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "site.toml:1:8: 'port' is 70000", (void)settings.Integer("port", 1, 65535));
}

}  // namespace
}  // namespace hemafed
