// SPDX-License-Identifier: Apache-2.0
#include "studies/report/run_record.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"

namespace hemafed::studies {
namespace {

using nlohmann::json;

RunRecord Record() {
  RunRecord record;
  record.study = "uacl";
  record.program_version = "HemaFed 0.1.0";
  record.torch_version = "2.13.0";
  record.command_line = {"hemafed-study", "uacl", "--data", "a \"b\""};
  record.study_file = Sha256Of("study");
  record.inputs = {{"raabin.index", Sha256Of("raabin")}, {"bccd.index", Sha256Of("bccd")}};
  record.seeds = {0, 7, kMaxRecordedSeed};
  record.settings = {
      {"zeta", 1}, {"learning_rate", 0.0005}, {"methods", {"uacl", "ewc"}}, {"nested", {{"b", true}, {"a", nullptr}}}};
  record.machine = {{"threads", 2}};
  return record;
}

TEST(RunRecord, ReadsBackAsItWasAndIsOneTextForOneRecord) {
  const std::string text = FormatRunRecord(Record());
  const RunRecord back = ParseRunRecord(text, "record.json");
  EXPECT_EQ(FormatRunRecord(back), text);
  EXPECT_EQ(back.command_line, Record().command_line);
  EXPECT_EQ(back.inputs, Record().inputs);
  EXPECT_EQ(back.seeds, Record().seeds);
  EXPECT_EQ(back.settings, Record().settings);
  EXPECT_EQ(back.study_file, Record().study_file);
  EXPECT_TRUE(RunDifferences(Record(), back).empty());
  EXPECT_TRUE(text.ends_with("}\n"));
  // Keys ascend on every level, whatever the order in which they were set.
  std::size_t at = 0;
  for (const char* key :
       {"\"command_line\"", "\"format\"", "\"inputs\"", "\"bccd.index\"", "\"raabin.index\"", "\"machine\"",
        "\"program_version\"", "\"seeds\"", "\"settings\"", "\"learning_rate\": 0.0005", "\"nested\"", "\"a\": null",
        "\"b\": true", "\"zeta\"", "\"study\"", "\"study_file_sha256\"", "\"torch_version\""}) {
    const std::size_t found = text.find(key, at);
    ASSERT_NE(found, std::string::npos) << key;
    at = found;
  }
}

TEST(RunRecord, KeepsEveryDouble) {
  RunRecord record = Record();
  const std::vector<double> values = {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, 1e21, -0.25};
  record.settings["values"] = values;
  const RunRecord back = ParseRunRecord(FormatRunRecord(record), "x");
  EXPECT_EQ(back.settings["values"].get<std::vector<double>>(), values);
}

TEST(RunRecord, RefusesWhatJsonCannotHold) {
  const auto refused = [](const char* words, auto change) {
    RunRecord record = Record();
    change(record);
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)FormatRunRecord(record));
  };
  refused("run record: settings/nested/rate is NaN",
          [](RunRecord& r) { r.settings["nested"]["rate"] = std::numeric_limits<double>::quiet_NaN(); });
  refused("machine/list/1 is NaN or infinite", [](RunRecord& r) {
    r.machine["list"] = {1, std::numeric_limits<double>::infinity()};
  });
  refused("settings must be an object", [](RunRecord& r) { r.settings = json::array(); });
  refused("above 2^53 - 1", [](RunRecord& r) { r.seeds.push_back(kMaxRecordedSeed + 1); });
  refused("longer than 256 bytes", [](RunRecord& r) { r.torch_version = std::string(257, 'x'); });
  refused("more than 4194304", [](RunRecord& r) { r.settings["text"] = std::string(5u << 20, 'x'); });
  refused("nested too deeply", [](RunRecord& r) {
    json deep = 1;
    for (int i = 0; i < 1000; ++i) deep = json{{"d", deep}};
    r.settings["deep"] = deep;
  });
}

TEST(RunRecord, ReplacesBytesOfTheCommandLineThatAreNoText) {
  RunRecord record = Record();
  record.command_line = {"--data", "caf\xe9"};
  EXPECT_EQ(ParseRunRecord(FormatRunRecord(record), "x").command_line.at(1), "caf\uFFFD");
}

TEST(RunRecord, RefusesTextsOfAnotherForm) {
  const auto refused = [](const char* words, auto change) {
    json object = json::parse(FormatRunRecord(Record()));
    change(object);
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)ParseRunRecord(object.dump(), "old.json"));
  };
  refused("old.json: field 'format' is not one that this program knows", [](json& o) { o["format"] = 2; });
  refused("'seeds'", [](json& o) { o["seeds"] = {-1}; });
  refused("'seeds'", [](json& o) { o["seeds"] = {9007199254740992u}; });
  refused("'inputs' has no SHA-256 for 'raabin.index'", [](json& o) { o["inputs"]["raabin.index"] = "abc"; });
  refused("'settings' must be an object", [](json& o) { o["settings"] = 1; });
  refused("'torch_version'", [](json& o) { o.erase("torch_version"); });
  refused("'extra' is not known", [](json& o) { o["extra"] = 1; });
  EXPECT_ERROR(ErrorCode::kInvalidInput, "larger than",
               (void)ParseRunRecord(std::string(kMaxRunRecordBytes + 1, ' '), "x"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not JSON", (void)ParseRunRecord("{\"format\":1", "x"));
}

TEST(RunRecord, NamesWhatDiffersBetweenTwoRuns) {
  RunRecord now = Record();
  now.command_line = {"other"};
  EXPECT_TRUE(RunDifferences(Record(), now).empty()) << "the command line alone changes nothing";
  now.settings["learning_rate"] = 0.001;
  now.settings.erase("zeta");
  now.settings["added"] = "x";
  now.seeds[1] = 8;
  now.inputs["bccd.index"] = Sha256Of("changed");
  const std::vector<std::string> differences = RunDifferences(Record(), now);
  ASSERT_EQ(differences.size(), 5u);
  EXPECT_EQ(differences[0],
            "inputs/bccd.index: \"" + Sha256Of("changed").Hex() + "\", was \"" + Sha256Of("bccd").Hex() + "\"");
  EXPECT_EQ(differences[1], "seeds/1: 8, was 7");
  EXPECT_EQ(differences[2], "settings/added: \"x\", was missing");
  EXPECT_EQ(differences[3], "settings/learning_rate: 0.001, was 0.0005");
  EXPECT_EQ(differences[4], "settings/zeta: missing, was 1");
}

TEST(RunRecord, IsWrittenWholeOrNotAtAll) {
  const Path path = "/results/run.json";
  for (std::uint64_t n = 1;; ++n) {
    testing_support::FaultFileSystem files;
    files.CreateFolders("/results");
    files.SyncDirectory("/");
    files.FailCall(n, ErrorCode::kNoSpace);
    bool acknowledged = false;
    try {
      WriteRunRecord(files, path, Record());
      acknowledged = true;
    } catch (const Error&) {
    }
    const bool failed = files.failed();
    files.Crash();
    if (files.Exists(path)) {
      EXPECT_EQ(ReadFile(files, path, kMaxRunRecordBytes), FormatRunRecord(Record())) << n;
    } else {
      EXPECT_FALSE(acknowledged) << n;
    }
    if (!failed) break;
  }
}

}  // namespace
}  // namespace hemafed::studies
