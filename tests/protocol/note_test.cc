// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/note.h"

#include <gtest/gtest.h>

#include "protocol/log/checkpoint.h"
#include "tests/protocol/log_test_support.h"

namespace hemafed {
namespace {

using testing_support::FailureOf;
using testing_support::FixedKey;
using testing_support::FixedLogKey;
using testing_support::kOrigin;

// The example of https://c2sp.org/signed-note.
constexpr const char* kPublishedKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
constexpr const char* kPublishedNote =
    "This is an example message.\n"
    "\n"
    "— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

TEST(Note, ThatC2spPublishedVerifiesWithItsKey) {
  const auto key = NoteKey::Parse(kPublishedKey);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->name, "example.com/foo");
  EXPECT_EQ(key->type, NoteKeyType::kEd25519);
  EXPECT_EQ(key->Id(), 0x530d903au);
  EXPECT_EQ(key->Encode(), kPublishedKey);
  const auto note = Note::Parse(kPublishedNote);
  ASSERT_TRUE(note);
  EXPECT_EQ(note->text, "This is an example message.\n");
  EXPECT_EQ(VerifyNote(*note, *key), NoteVerdict::kVerified);
  EXPECT_EQ(note->Encode(), kPublishedNote);
}

// The example of https://c2sp.org/tlog-cosignature: no key is published, but the layout is.
TEST(Note, CosignatureThatC2spPublishedCarriesTheTimeOfItsPage) {
  const auto note = Note::Parse(
      "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
      "— example.com/behind-the-sofa "
      "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
      "— witness.example.com/w1 "
      "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n");
  ASSERT_TRUE(note);
  ASSERT_EQ(note->signatures.size(), 2u);
  EXPECT_EQ(note->signatures[1].signature.size(), 8u + 64u);
  EXPECT_EQ(HexEncode(ByteView(note->signatures[1].signature).first(8)), "00000000641850cb");  // 1679315147
  const auto checkpoint = Checkpoint::Parse(note->text);
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->origin, "example.com/behind-the-sofa");
  EXPECT_EQ(checkpoint->size, 20852163u);
}

// Made with Python's `cryptography` package from the two pages; key of seed 00 01 .. 1f, time 1700000000.
TEST(Note, SignatureAndCosignatureEqualThoseOfAnIndependentImplementation) {
  const std::string text = "example.org/round-log\n3\nyLNfTaK2O9WeN+EpdFJ11LXyqHTyHxQrEt1gZPQ2Yq4=\n";
  const Note note{text, {SignNote(text, kOrigin, FixedKey()), CosignNote(text, "lab-a", FixedKey(), 1'700'000'000)}};
  EXPECT_EQ(note.Encode(),
            text +
                "\n— example.org/round-log "
                "BCK3ZqCi946HnWebnc+eoZ/TIBOjDDaLG2xqPd8/OxAQUfMn8H7WPuMcKMCNRodsWGbVi1R4RVlzDXiUI2rbQeZBU"
                "ww=\n— lab-a "
                "TP0T+AAAAABlU/EAu/LtAx3pipm9IbCW3unLuaB+sm8ifOyK88CmbZKm2vrC9LPfwmyd2OPxA/HqNPYb/1kALNRu5D"
                "BqmXd2lovmDg==\n");
  const std::string page = testing_support::ReadAll(Path(HEMAFED_SOURCE_DIR) / "docs/round_log.md");
  EXPECT_TRUE(testing_support::Contains(page, note.Encode().substr(note.Encode().find("— lab-a"))));
  EXPECT_EQ(FixedLogKey().Encode(), "example.org/round-log+0422b766+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4");
  const auto cosigner = NoteKey::Parse("lab-a+4cfd13f8+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4");
  ASSERT_TRUE(cosigner);
  EXPECT_EQ(VerifyNote(note, *cosigner), NoteVerdict::kVerified);
  EXPECT_EQ(CosignatureTime(note, *cosigner), 1'700'000'000u);
  EXPECT_EQ(CosignatureTime(note, FixedLogKey()), std::nullopt);
}

TEST(Note, EverySingleBitFlippedIsRefusedOrNoLongerTheKeysNote) {
  const auto key = *NoteKey::Parse(kPublishedKey);
  const std::string bytes = kPublishedNote;
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const auto note = Note::Parse(testing_support::WithBitFlipped(bytes, bit));
    EXPECT_TRUE(!note || VerifyNote(*note, key) != NoteVerdict::kVerified) << "bit " << bit;
  }
}

TEST(Note, WithAWrongSignatureByAKnownKeyIsRejectedEvenBesideARightOne) {
  Note note = *Note::Parse(kPublishedNote);
  const auto key = *NoteKey::Parse(kPublishedKey);
  NoteSignature wrong = note.signatures[0];
  wrong.signature[5] ^= 1;
  note.signatures.push_back(wrong);
  EXPECT_EQ(VerifyNote(note, key), NoteVerdict::kWrongSignature);
}

TEST(Note, SignaturesOfUnknownKeysAreKeptAndIgnored) {
  Note note = *Note::Parse(kPublishedNote);
  const auto key = *NoteKey::Parse(kPublishedKey);
  note.signatures.push_back(SignNote(note.text, "stranger", FixedKey()));
  note.signatures.push_back({"example.com/foo", 1, Bytes(64)});    // Same name, another id.
  note.signatures.push_back({"post-quantum", 7, Bytes(4900, 9)});  // Another algorithm.
  EXPECT_EQ(VerifyNote(note, key), NoteVerdict::kVerified);
  const auto parsed = Note::Parse(note.Encode());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->signatures, note.signatures);
  EXPECT_EQ(VerifyNote(note, FixedLogKey()), NoteVerdict::kNotSignedByKey);
}

TEST(Note, TextMayHoldEmptyLinesAndEndsAtTheLastOne) {
  const std::string text = "Ognuno sta solo sul cuor della terra\n\nè subito sera.\n";
  const Note note{text, {SignNote(text, "quasimodo.example/salvatore", FixedKey())}};
  const auto parsed = Note::Parse(note.Encode());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->text, text);
}

TEST(Note, CosignatureSignsItsTime) {
  const std::string text = "origin\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
  const NoteKey key{"lab", NoteKeyType::kCosignature, FixedKey().PublicKey()};
  Note note{text, {CosignNote(text, "lab", FixedKey(), 1000)}};
  EXPECT_EQ(VerifyNote(note, key), NoteVerdict::kVerified);
  note.signatures.push_back(CosignNote(text, "lab", FixedKey(), 2000));
  EXPECT_EQ(CosignatureTime(note, key), 2000u);
  note.signatures[0].signature[7] ^= 1;
  EXPECT_EQ(VerifyNote(note, key), NoteVerdict::kWrongSignature);
  EXPECT_EQ(CosignatureTime(note, key), std::nullopt);
  const auto failure = FailureOf([&] { (void)CosignNote(text, "lab", FixedKey(), ~std::uint64_t{0}); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, ErrorCode::kInvalidInput);
  // A plain signature of the same key is not a cosignature, nor the other way round.
  EXPECT_EQ(VerifyNote({text, {SignNote(text, "lab", FixedKey())}}, key), NoteVerdict::kNotSignedByKey);
}

struct BadNote {
  const char* name;
  std::string bytes;
};

class NoteRefuses : public testing::TestWithParam<BadNote> {};

TEST_P(NoteRefuses, TextThatIsNotANote) { EXPECT_FALSE(Note::Parse(GetParam().bytes)); }

std::string WithLine(const std::string& line) { return "text\n\n" + line; }

INSTANTIATE_TEST_SUITE_P(Table, NoteRefuses,
                         testing::ValuesIn(std::vector<BadNote>{
                             {"Empty", ""},
                             {"NoSignatures", "text\n"},
                             {"OnlyABlankLine", "text\n\n"},
                             {"NoText", "\n— a AAAAAAA=\n"},
                             {"NoBlankLine", "text\n— a AAAAAAA=\n"},
                             {"NoNewlineAtTheEnd", WithLine("— a AAAAAAA=")},
                             {"CarriageReturn", "text\r\n\n— a AAAAAAA=\n"},
                             {"ControlCharacter", "te\x01xt\n\n— a AAAAAAA=\n"},
                             {"NotUtf8", "te\xffxt\n\n— a AAAAAAA=\n"},
                             {"HyphenForDash", WithLine("- a AAAAAAA=\n")},
                             {"NoName", WithLine("—  AAAAAAA=\n")},
                             {"PlusInName", WithLine("— a+b AAAAAAA=\n")},
                             {"NoBreakSpaceInName", WithLine("— a\u00a0b AAAAAAA=\n")},
                             {"IdeographicSpaceInName", WithLine("— a\u3000b AAAAAAA=\n")},
                             {"TwoSpaces", WithLine("— a  AAAAAAA=\n")},
                             {"NoSignatureBytes", WithLine("— a AAAAAA==\n")},
                             {"NotBase64", WithLine("— a AAAAAAA\n")},
                             {"NotCanonicalBase64", WithLine("— a AAAAAAB=\n")},
                             {"TrailingSpace", WithLine("— a AAAAAAA= \n")},
                             {"LineAfterSignatures", WithLine("— a AAAAAAA=\nmore\n")},
                             {"LongName", WithLine("— " + std::string(256, 'a') + " AAAAAAA=\n")},
                             {"TooLarge", std::string(kMaxNoteBytes, 'x') + "\n\n— a AAAAAAA=\n"},
                             {"TooManySignatures",
                              [] {
                                std::string bytes = "text\n\n";
                                for (std::size_t i = 0; i <= kMaxNoteSignatures; ++i) bytes += "— a AAAAAAA=\n";
                                return bytes;
                              }()}}),
                         [](const auto& row) { return row.param.name; });

TEST(Note, WithAsManySignaturesAsAllowedIsRead) {
  std::string bytes = "text\n\n";
  for (std::size_t i = 0; i < kMaxNoteSignatures; ++i) bytes += "— a AAAAAAA=\n";
  EXPECT_TRUE(Note::Parse(bytes));
}

TEST(NoteKey, RefusesEveryTextThatIsNotAKeyOfAKnownType) {
  const std::string good = kPublishedKey;
  ASSERT_TRUE(NoteKey::Parse(good));
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    EXPECT_FALSE(NoteKey::Parse(testing_support::WithBitFlipped(good, bit))) << "bit " << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(NoteKey::Parse(good.substr(0, size)));
  EXPECT_FALSE(NoteKey::Parse(good + "AAAA"));
  EXPECT_FALSE(NoteKey::Parse("example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"));
}

TEST(SignNote, RefusesWhatCannotBeANote) {
  for (const char* text : {"", "no newline", "tab\t\n", "\xff\n"}) {
    EXPECT_TRUE(FailureOf([&] { (void)SignNote(text, "name", FixedKey()); })) << text;
  }
  for (const char* name : {"", "with space", "with+plus", "tab\t"}) {
    EXPECT_TRUE(FailureOf([&] { (void)SignNote("text\n", name, FixedKey()); })) << name;
  }
}

TEST(Checkpoint, RoundTripsWithExtensions) {
  const Checkpoint checkpoint{"example.org/log", ~std::uint64_t{0}, Sha256Of("root"), {"one", "two words"}};
  EXPECT_EQ(Checkpoint::Parse(checkpoint.Encode()), checkpoint);
}

struct BadCheckpoint {
  const char* name;
  std::string text;
};

class CheckpointRefuses : public testing::TestWithParam<BadCheckpoint> {};

TEST_P(CheckpointRefuses, TextThatIsNotExactlyACheckpoint) { EXPECT_FALSE(Checkpoint::Parse(GetParam().text)); }

const std::string kRoot = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

INSTANTIATE_TEST_SUITE_P(Table, CheckpointRefuses,
                         testing::ValuesIn(std::vector<BadCheckpoint>{
                             {"Empty", ""},
                             {"OriginOnly", "o\n"},
                             {"NoRoot", "o\n1\n"},
                             {"EmptyOrigin", "\n1\n" + kRoot},
                             {"LongOrigin", std::string(256, 'o') + "\n1\n" + kRoot},
                             {"LeadingZero", "o\n01\n" + kRoot},
                             {"Negative", "o\n-1\n" + kRoot},
                             {"Plus", "o\n+1\n" + kRoot},
                             {"Hexadecimal", "o\n0x1\n" + kRoot},
                             {"SpaceBeforeSize", "o\n 1\n" + kRoot},
                             {"NoSize", "o\n\n" + kRoot},
                             {"SizeOver64Bits", "o\n18446744073709551616\n" + kRoot},
                             {"ShortRoot", "o\n1\n47DEQpj8HBSa\n"},
                             {"NotBase64", "o\n1\n!!!!\n"},
                             {"RootWithoutNewline", "o\n1\n" + kRoot.substr(0, kRoot.size() - 1)},
                             {"EmptyExtension", "o\n1\n" + kRoot + "\n"},
                             {"ExtensionWithoutNewline", "o\n1\n" + kRoot + "x"}}),
                         [](const auto& row) { return row.param.name; });

TEST(OpenCheckpoint, SaysWhetherTheNoteWasAlteredOrBelongsToAnotherLog) {
  const auto note_of = [](const std::string& text, const std::string& name, const Ed25519KeyPair& key) {
    return Note{text, {SignNote(text, name, key)}}.Encode();
  };
  const std::string text = Checkpoint{kOrigin, 0, Sha256Of(""), {}}.Encode();
  EXPECT_EQ(OpenCheckpoint(note_of(text, kOrigin, FixedKey()), FixedLogKey(), "here").size, 0u);

  const auto failure = [&](const std::string& note) {
    const auto result = FailureOf([&] { (void)OpenCheckpoint(note, FixedLogKey(), "here"); });
    EXPECT_TRUE(result && result->message.starts_with("here "));
    return result.value_or(testing_support::Failure{ErrorCode::kInternal, ""}).code;
  };
  EXPECT_EQ(failure("nonsense"), ErrorCode::kCorrupt);
  EXPECT_EQ(failure(note_of(text, kOrigin, FixedKey(1))), ErrorCode::kRefused);
  EXPECT_EQ(failure(note_of(text, "another", FixedKey())), ErrorCode::kRefused);
  const std::string foreign = Checkpoint{"another", 0, Sha256Of(""), {}}.Encode();
  EXPECT_EQ(failure(note_of(foreign, kOrigin, FixedKey())), ErrorCode::kRefused);
  EXPECT_EQ(failure(note_of("just text\n", kOrigin, FixedKey())), ErrorCode::kCorrupt);
  std::string altered = note_of(text, kOrigin, FixedKey());
  altered.replace(altered.find("\n0\n"), 3, "\n1\n");
  EXPECT_EQ(failure(altered), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace hemafed
