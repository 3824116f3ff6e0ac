// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/exemplar_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <tuple>

#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

Exemplar Picture(const std::string& name) { return {Sha256Of(name), "raabin"}; }

// A list of m pictures, as full as it may be.
ExemplarList FullList(const std::string& domain, std::uint32_t label, std::size_t m) {
  ExemplarList list{domain, label, {}, {}};
  const ExemplarShares shares = SharesOf(m);
  const std::string place = domain + "/" + std::to_string(label) + "/";
  for (std::size_t i = 0; i < shares.herding; ++i) list.herding.push_back(Picture(place + "h" + std::to_string(i)));
  for (std::size_t i = 0; i < shares.uncertainty; ++i) {
    list.uncertainty.push_back(Picture(place + "u" + std::to_string(i)));
  }
  return list;
}

FeatureRows RandomFeatures(std::size_t rows, std::uint64_t seed) {
  FeatureRows features{rows, 3, {}};
  RandomStream random(seed);
  for (std::size_t i = 0; i < rows * 3; ++i) features.values.push_back(static_cast<float>(random.NextNormal()));
  return features;
}

TEST(ExemplarShares, HerdingTakesTheOddOne) {
  for (const auto& [m, herding, uncertainty] :
       std::vector<std::tuple<std::size_t, std::size_t, std::size_t>>{{0, 0, 0}, {1, 1, 0}, {13, 7, 6}, {20, 10, 10}}) {
    EXPECT_EQ(SharesOf(m).herding, herding);
    EXPECT_EQ(SharesOf(m).uncertainty, uncertainty);
  }
}

TEST(ExemplarRoom, OfABudgetFollowsTheNumberOfLists) {
  // published-systems 2.3: every row of its table, lists after each task -> m (herding / uncertain).
  struct Row {
    std::size_t budget, lists, m, herding, uncertainty;
  };
  for (const Row& row : std::vector<Row>{{125, 3, 41, 21, 20},
                                         {125, 6, 20, 10, 10},
                                         {125, 9, 13, 7, 6},
                                         {125, 13, 9, 5, 4},
                                         {125, 5, 25, 13, 12},
                                         {125, 7, 17, 9, 8},
                                         {125, 10, 12, 6, 6},
                                         {1000, 13, 76, 38, 38},
                                         {1000, 26, 38, 19, 19},
                                         {1000, 36, 27, 14, 13},
                                         {1000, 3, 333, 167, 166},
                                         {1000, 6, 166, 83, 83},
                                         {1000, 9, 111, 56, 55},
                                         {1000, 16, 62, 31, 31},
                                         {1000, 19, 52, 26, 26},
                                         {1000, 22, 45, 23, 22},
                                         {1000, 29, 34, 17, 17},
                                         {1000, 31, 32, 16, 16},
                                         {1000, 33, 30, 15, 15}}) {
    const std::size_t m = RoomPerList({ExemplarLimit::Kind::kBudget, row.budget}, row.lists);
    EXPECT_EQ(m, row.m) << row.budget << " over " << row.lists;
    EXPECT_EQ(SharesOf(m).herding, row.herding) << m;
    EXPECT_EQ(SharesOf(m).uncertainty, row.uncertainty) << m;
  }
  const ExemplarLimit small{ExemplarLimit::Kind::kBudget, 125};
  EXPECT_EQ(RoomPerList(small, 3), 41u);
  EXPECT_EQ(RoomPerList(small, 6), 20u);
  EXPECT_EQ(RoomPerList(small, 9), 13u);
  EXPECT_EQ(RoomPerList(small, 13), 9u);
  const ExemplarLimit large{ExemplarLimit::Kind::kBudget, 1000};
  EXPECT_EQ(RoomPerList(large, 13), 76u);
  EXPECT_EQ(RoomPerList(large, 26), 38u);
  EXPECT_EQ(RoomPerList(large, 36), 27u);
  EXPECT_EQ(RoomPerList({ExemplarLimit::Kind::kBudget, 10}, 11), 0u);
  EXPECT_EQ(RoomPerList({ExemplarLimit::Kind::kPerList, 20}, 36), 20u);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "100001", (void)RoomPerList({ExemplarLimit::Kind::kPerList, 100001}, 1));
}

TEST(ExemplarRoom, OfABudgetInBytesIsThatOfThePicturesThatFit) {
  constexpr std::size_t kTile = 128 * 128 * 3;
  const ExemplarLimit limit{ExemplarLimit::Kind::kBytes, 125 * kTile + kTile - 1, kTile};
  EXPECT_EQ(RoomPerList(limit, 3), 41u);
  EXPECT_EQ(RoomPerList(limit, 13), 9u);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "bytes of one picture",
               (void)RoomPerList({ExemplarLimit::Kind::kBytes, 1000, 0}, 1));
}

TEST(ChooseExemplars, OtherMixesUseOneCriterionAndCutTheirOwnList) {
  const FeatureRows features{4, 1, {0, 1, 3, 10}};  // Herding order 2, 1, 3, 0.
  const std::vector<double> uncertainty = {0.1, 0.9, 0.8, 0.2};
  const auto choose = [&](ExemplarMix mix, std::uint64_t seed = 0) {
    return ChooseExemplars(features, uncertainty, 3, HerdingVariant::kRaw, mix, seed);
  };
  EXPECT_EQ(choose(ExemplarMix::kHerding).herding, (std::vector<std::size_t>{2, 1, 3}));
  EXPECT_TRUE(choose(ExemplarMix::kHerding).uncertainty.empty());
  EXPECT_EQ(choose(ExemplarMix::kUncertainty).uncertainty, (std::vector<std::size_t>{1, 2, 3}));
  EXPECT_TRUE(choose(ExemplarMix::kUncertainty).herding.empty());
  std::set<std::vector<std::size_t>> orders;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const ExemplarChoice choice = choose(ExemplarMix::kRandom, seed);
    EXPECT_EQ(std::set<std::size_t>(choice.herding.begin(), choice.herding.end()).size(), 3u);
    orders.insert(choice.herding);
  }
  EXPECT_GT(orders.size(), 10u);  // of 24
  ExemplarStore store;
  ExemplarList list{"d", 0, {}, {}};
  for (int i = 0; i < 6; ++i) list.herding.push_back(Picture(std::to_string(i)));
  AddList(store, list);
  Reduce(store, 4, ExemplarMix::kHerding);
  EXPECT_EQ(store.lists[0].herding.size(), 4u);
}

TEST(ChooseExemplars, HerdingChoosesFirstThenTheRestIsRanked) {
  const FeatureRows features{4, 1, {0, 1, 3, 10}};  // Herding order 2, 1, 3, 0.
  const std::vector<double> uncertainty = {0.1, 0.9, 0.8, 0.2};
  const ExemplarChoice choice = ChooseExemplars(features, uncertainty, 3, HerdingVariant::kRaw);
  EXPECT_EQ(choice.herding, (std::vector<std::size_t>{2, 1}));
  EXPECT_EQ(choice.uncertainty, (std::vector<std::size_t>{3}));  // 1 is the most uncertain but already stored.
}

TEST(ChooseExemplars, EqualUncertaintyGoesToTheLowerIndex) {
  const ExemplarChoice choice =
      ChooseExemplars({4, 1, {0, 1, 3, 10}}, std::vector<double>{.5, .5, .5, .5}, 5, HerdingVariant::kRaw);
  EXPECT_EQ(choice.herding, (std::vector<std::size_t>{2, 1, 3}));
  EXPECT_EQ(choice.uncertainty, (std::vector<std::size_t>{0}));
}

TEST(ChooseExemplars, EveryClassSizeStoresWhatItCanAndNoPictureTwice) {
  for (std::size_t n = 0; n <= 9; ++n) {
    for (std::size_t m = 0; m <= 8; ++m) {
      std::vector<double> uncertainty(n);
      std::iota(uncertainty.begin(), uncertainty.end(), 0.0);
      const ExemplarChoice choice = ChooseExemplars(RandomFeatures(n, 3), uncertainty, m, HerdingVariant::kNormalised);
      std::set<std::size_t> stored(choice.herding.begin(), choice.herding.end());
      stored.insert(choice.uncertainty.begin(), choice.uncertainty.end());
      EXPECT_EQ(stored.size(), std::min(n, m)) << n << " " << m;
      EXPECT_EQ(choice.herding.size() + choice.uncertainty.size(), stored.size());
      EXPECT_EQ(choice.herding.size(), std::min(n, SharesOf(m).herding));
      EXPECT_TRUE(std::is_sorted(choice.uncertainty.rbegin(), choice.uncertainty.rend(),
                                 [&](auto a, auto b) { return uncertainty[a] < uncertainty[b]; }));
    }
  }
}

TEST(ChooseExemplars, WithoutOneFiniteUncertaintyAPictureIsRefused) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one uncertainty for each row",
               (void)ChooseExemplars({2, 1, {1, 2}}, std::vector<double>{1}, 2, HerdingVariant::kRaw));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not a finite number",
               (void)ChooseExemplars({1, 1, {1}}, std::vector<double>{std::nan("")}, 2, HerdingVariant::kRaw));
}

TEST(ExemplarStore, ReductionKeepsPrefixesOfBothLists) {
  // published-systems 2.9, check 6: 20 -> 13 -> 9 keeps 7 + 6, then 5 + 4.
  ExemplarStore store;
  const ExemplarList full = FullList("raabin", 0, 20);
  AddList(store, full);
  for (const auto& [m, herding, uncertainty] : std::vector<std::tuple<std::size_t, std::size_t, std::size_t>>{
           {20, 10, 10}, {13, 7, 6}, {9, 5, 4}, {15, 5, 4}}) {
    Reduce(store, m);
    const ExemplarList& list = store.lists[0];
    ASSERT_EQ(list.herding.size(), herding);
    ASSERT_EQ(list.uncertainty.size(), uncertainty);
    EXPECT_TRUE(std::equal(list.herding.begin(), list.herding.end(), full.herding.begin()));
    EXPECT_TRUE(std::equal(list.uncertainty.begin(), list.uncertainty.end(), full.uncertainty.begin()));
  }
}

TEST(ExemplarStore, NeverHoldsMoreThanTheBudgetOverAllPublishedScenarios) {
  struct Scenario {
    std::size_t budget;
    std::vector<std::size_t> new_lists;  // by task
  };
  for (const Scenario& scenario :
       {Scenario{125, {3, 3, 3, 4}}, Scenario{125, {3, 2, 2, 3}}, Scenario{1000, {13, 13, 10}},
        Scenario{1000, {3, 3, 3, 4, 3, 3, 3, 4, 3, 2, 2, 3}}}) {
    ExemplarStore store;
    std::uint32_t label = 0;
    for (const std::size_t new_lists : scenario.new_lists) {
      const std::size_t m =
          RoomPerList({ExemplarLimit::Kind::kBudget, scenario.budget}, store.lists.size() + new_lists);
      Reduce(store, m);
      for (std::size_t i = 0; i < new_lists; ++i) AddList(store, FullList("d", label++, m));
      EXPECT_LE(StoredCount(store), scenario.budget);
      EXPECT_EQ(StoredCount(store), m * store.lists.size());
    }
  }
}

TEST(ExemplarStore, ListsStandInOrderAndAreChosenOnce) {
  ExemplarStore store;
  AddList(store, FullList("raabin", 1, 4));
  AddList(store, FullList("bccd", 2, 4));
  AddList(store, FullList("raabin", 0, 4));
  ASSERT_EQ(store.lists.size(), 3u);
  EXPECT_EQ(store.lists[0].domain, "bccd");
  EXPECT_EQ(store.lists[1].label, 0u);
  EXPECT_EQ(store.lists[2].label, 1u);
  const ExemplarStore before = store;
  EXPECT_ERROR(ErrorCode::kConflict, "raabin/1 were chosen already", AddList(store, FullList("raabin", 1, 2)));
  EXPECT_EQ(store, before);
}

TEST(ExemplarStore, WithdrawnPictureIsGoneEverywhereAndTheOthersKeepTheirOrder) {
  ExemplarStore store;
  ExemplarList first = FullList("raabin", 0, 6);
  ExemplarList second = FullList("bccd", 0, 6);
  const Exemplar shared = Picture("shared");
  first.herding.insert(first.herding.begin() + 1, shared);
  second.uncertainty.push_back(shared);
  AddList(store, first);
  AddList(store, second);
  EXPECT_EQ(Withdraw(store, shared.picture), 2u);
  EXPECT_EQ(Withdraw(store, shared.picture), 0u);
  EXPECT_EQ(store.lists[1].herding, FullList("raabin", 0, 6).herding);
  EXPECT_EQ(store.lists[0].uncertainty, FullList("bccd", 0, 6).uncertainty);
  EXPECT_EQ(ExemplarStoreToJson(store).find(shared.picture.Hex()), std::string::npos);
}

TEST(ExemplarStoreJson, ComesBackEqual) {
  ExemplarStore store;
  AddList(store, FullList("raabin", 0, 5));
  AddList(store, {"bccd", 3, {}, {}});
  EXPECT_EQ(ExemplarStoreFromJson(ExemplarStoreToJson(store)), store);
  EXPECT_EQ(ExemplarStoreFromJson(ExemplarStoreToJson({})), ExemplarStore{});
}

TEST(ExemplarStoreJson, CutAnywhereIsRefused) {
  ExemplarStore store;
  AddList(store, FullList("raabin", 0, 3));
  const std::string text = ExemplarStoreToJson(store);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_THROW((void)ExemplarStoreFromJson(text.substr(0, size)), Error) << size;
  }
}

struct BadJson {
  const char* name;
  std::string text;
  const char* words;
};
class ExemplarJsonRefuses : public testing::TestWithParam<BadJson> {};
TEST_P(ExemplarJsonRefuses, WithAReason) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words, (void)ExemplarStoreFromJson(GetParam().text));
}

const std::string kHex(64, 'a');
const std::string kItem = R"({"picture":")" + kHex + R"(","source":"s"})";
std::string ListText(const std::string& herding, const std::string& label = "0", const std::string& domain = "d") {
  return R"({"domain":")" + domain + R"(","herding":[)" + herding + R"(],"label":)" + label + R"(,"uncertainty":[]})";
}
std::string StoreText(const std::string& lists) {
  return R"({"format":"hemafed.exemplars.1","lists":[)" + lists + "]}";
}

INSTANTIATE_TEST_SUITE_P(
    Table, ExemplarJsonRefuses,
    testing::ValuesIn(std::vector<BadJson>{
        {"OtherFormat", R"({"format":"hemafed.exemplars.2","lists":[]})", "format"},
        {"UnknownKey", R"({"format":"hemafed.exemplars.1","lists":[],"more":1})", "more"},
        {"PictureTwiceInAList", StoreText(ListText(kItem + "," + kItem)), "is twice in list d/0"},
        {"ListsOutOfOrder", StoreText(ListText("", "1") + "," + ListText("", "0")), "canonical"},
        {"Space", " " + StoreText(""), "canonical"},
        {"NegativeLabel", StoreText(ListText("", "-1")), "label"},
        {"NoDomain", StoreText(ListText("", "0", "")), "domain"},
        {"LongDomain", StoreText(ListText("", "0", std::string(129, 'x'))), "domain"},
        {"ShortDigest", StoreText(ListText(R"({"picture":"aa","source":"s"})")), "picture"},
        {"UpperCaseDigest", StoreText(ListText(R"({"picture":")" + std::string(64, 'A') + R"(","source":"s"})")),
         "picture"},
        {"TooLarge", std::string(kMaxExemplarStoreBytes + 1, ' '), "bytes of JSON"},
        {"TooDeep", R"({"lists":)" + std::string(40, '[') + std::string(40, ']') + "}", "nested"}}),
    [](const auto& row) { return row.param.name; });

TEST(ExemplarStoreJson, ListTwiceIsAConflict) {
  EXPECT_ERROR(ErrorCode::kConflict, "chosen already",
               (void)ExemplarStoreFromJson(StoreText(ListText("") + "," + ListText(""))));
}

}  // namespace
}  // namespace hemafed::learning
