// SPDX-License-Identifier: Apache-2.0
#include "common/json_fields.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"

namespace hemafed {
namespace {

using nlohmann::json;

TEST(ParseJsonObject, RefusesWhatIsNotOnePlainObject) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "x.json is not JSON", (void)ParseJsonObject("{", "x.json"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not a JSON object", (void)ParseJsonObject("[1]", "x.json"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'a' twice", (void)ParseJsonObject(R"({"a":1,"a":2})", "x.json"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "deeper",
               (void)ParseJsonObject("{\"a\":" + std::string(100000, '['), "x.json"));
  EXPECT_EQ(ParseJsonObject(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})", "x").size(), 2u);
}

TEST(JsonFields, NamesThePlaceAndTheFieldOfEveryProblem) {
  const json object = json::parse(R"({"n":-1,"t":"text","l":[1,null],"big":18446744073709551615,"o":{"k":true}})");
  JsonFields fields(object, "job.json");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "job.json: field 'absent' is missing", (void)fields.Text("absent", 9));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'n' is -1, outside 0 to 5", (void)fields.Unsigned("n", 5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'t' is not an integer", (void)fields.Integer("t", 0, 5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'big' is not an integer", (void)fields.Integer("big", 0, 5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "longer than 3 bytes", (void)fields.Text("t", 3));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more than 1 items", (void)fields.Counts("l", 1, 9));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "SHA-256", (void)fields.Sha256Digest("t"));
  EXPECT_EQ(fields.Counts("l", 2, 9), (std::vector<std::optional<std::uint64_t>>{1, std::nullopt}));
  EXPECT_TRUE(fields.Object("o").Boolean("k"));
}

TEST(JsonFields, ReadsListsOfSignedIntegersWithinTheirBounds) {
  const json object = json::parse(R"({"l":[-3,0,7],"f":[1.0],"big":[18446744073709551615],"t":["1"],"n":[]})");
  JsonFields fields(object, "job.json");
  EXPECT_EQ(fields.Integers("l", 3, -3, 7), (std::vector<std::int64_t>{-3, 0, 7}));
  EXPECT_TRUE(fields.Integers("n", 0, 0, 0).empty());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'l' has more than 2 items", (void)fields.Integers("l", 2, -3, 7));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not an integer of -2 to 7", (void)fields.Integers("l", 3, -2, 7));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not an integer of -3 to 6", (void)fields.Integers("l", 3, -3, 6));
  for (const char* key : {"f", "big", "t"}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "not an integer", (void)fields.Integers(key, 3, INT64_MIN, INT64_MAX));
  }
}

TEST(JsonFields, RefusesFieldsThatNobodyAskedFor) {
  const json object = json::parse(R"({"known":1,"unknwon":2})");
  JsonFields fields(object, "job.json");
  EXPECT_EQ(fields.Unsigned("known", 1), 1u);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'unknwon' is not known", fields.RequireAllRead());
}

}  // namespace
}  // namespace hemafed
