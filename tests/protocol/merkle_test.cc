// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/merkle.h"

#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "common/file_system.h"
#include "tests/protocol/log_test_support.h"

namespace hemafed {
namespace {

using nlohmann::json;
using Leaves = std::vector<Digest>;

// ---- The published vectors -------------------------------------------------------------------------------------

std::string Decoded(const json& field) { return std::string(AsText(*Base64Decode(field.get<std::string>()))); }

std::optional<Digest> AsDigest(const std::string& bytes) {
  Digest digest;
  if (bytes.size() != digest.bytes.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  return digest;
}

// A few vectors have roots of other lengths than a hash. Our roots are typed; such a one becomes a digest that no tree
// has, equal only to itself.
Digest AsRoot(const json& field) {
  const std::string bytes = Decoded(field);
  return AsDigest(bytes).value_or(Sha256Of("no digest: " + bytes));
}

// Nothing if a hash has another length: no list of ours can hold it, so the vector is refused.
std::optional<MerkleProof> AsProof(const json& field) {
  MerkleProof proof;
  for (const json& element : field) {
    const auto digest = AsDigest(Decoded(element));
    if (!digest) return std::nullopt;
    proof.push_back(*digest);
  }
  return proof;
}

std::uint64_t Number(const json& vector, const char* name) { return vector.at(name).get<std::uint64_t>(); }

using Verifier = std::function<bool(const json& vector, const MerkleProof& proof)>;

// Runs every vector of one folder; returns how many accepted ones and how many in all there are.
std::pair<int, int> RunVectors(const char* folder, const Verifier& accepts) {
  int accepted = 0, all = 0;
  const Path root = Path(HEMAFED_SOURCE_DIR) / "tests/data/merkle" / folder;
  for (const auto& item : std::filesystem::recursive_directory_iterator(root)) {
    if (item.path().extension() != ".json") continue;
    const json vector = json::parse(testing_support::ReadAll(item.path()));
    const auto proof = AsProof(vector.at("proof"));
    const bool got = proof && accepts(vector, *proof);
    EXPECT_EQ(got, !vector.at("wantErr").get<bool>()) << item.path() << ": " << vector.at("desc");
    accepted += got;
    ++all;
  }
  return {accepted, all};
}

// The counts are those of the folders as published: 518 vectors, 36 of them right.
TEST(MerkleVectors, Of98InclusionProofsExactlyTheRightOnesAreAccepted) {
  EXPECT_EQ(RunVectors("inclusion",
                       [](const json& vector, const MerkleProof& proof) {
                         const auto leaf = AsDigest(Decoded(vector.at("leafHash")));
                         return leaf && VerifyInclusion(Number(vector, "leafIdx"), Number(vector, "treeSize"), *leaf,
                                                        proof, AsRoot(vector.at("root")));
                       }),
            (std::pair{6, 98}));
}

TEST(MerkleVectors, Of204SubtreeInclusionProofsExactlyTheRightOnesAreAccepted) {
  EXPECT_EQ(RunVectors("subtreeinclusion",
                       [](const json& vector, const MerkleProof& proof) {
                         const auto leaf = AsDigest(Decoded(vector.at("leafHash")));
                         return leaf &&
                                VerifySubtreeInclusion(Number(vector, "leafIdx"), Number(vector, "start"),
                                                       Number(vector, "end"), *leaf, proof, AsRoot(vector.at("root")));
                       }),
            (std::pair{12, 204}));
}

TEST(MerkleVectors, Of98ConsistencyProofsExactlyTheRightOnesAreAccepted) {
  EXPECT_EQ(RunVectors("consistency",
                       [](const json& vector, const MerkleProof& proof) {
                         return VerifyConsistency(Number(vector, "size1"), Number(vector, "size2"), proof,
                                                  AsRoot(vector.at("root1")), AsRoot(vector.at("root2")));
                       }),
            (std::pair{6, 98}));
}

TEST(MerkleVectors, Of118SubtreeConsistencyProofsExactlyTheRightOnesAreAccepted) {
  EXPECT_EQ(RunVectors("subtreeconsistency",
                       [](const json& vector, const MerkleProof& proof) {
                         return VerifySubtreeConsistency(Number(vector, "start"), Number(vector, "end"),
                                                         Number(vector, "size"), proof, AsRoot(vector.at("root1")),
                                                         AsRoot(vector.at("root2")));
                       }),
            (std::pair{12, 118}));
}

// ---- The definitions, word for word over lists -----------------------------------------------------------------

Leaves Slice(const Leaves& leaves, std::size_t from, std::size_t to) {
  return {leaves.begin() + static_cast<std::ptrdiff_t>(from), leaves.begin() + static_cast<std::ptrdiff_t>(to)};
}

std::size_t LargestPowerOfTwoBelow(std::size_t n) {
  std::size_t k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

Digest SlowRoot(const Leaves& leaves) {
  if (leaves.empty()) return Sha256Of("");
  if (leaves.size() == 1) return leaves[0];
  const std::size_t k = LargestPowerOfTwoBelow(leaves.size());
  const Digest left = SlowRoot(Slice(leaves, 0, k));
  const Digest right = SlowRoot(Slice(leaves, k, leaves.size()));
  return Sha256Of("\x01" + std::string(AsText(left.bytes)) + std::string(AsText(right.bytes)));
}

MerkleProof Plus(MerkleProof proof, const Digest& hash) {
  proof.push_back(hash);
  return proof;
}

// RFC 6962 section 2.1.1.
MerkleProof SlowPath(std::size_t m, const Leaves& leaves) {
  if (leaves.size() == 1) return {};
  const std::size_t k = LargestPowerOfTwoBelow(leaves.size());
  const Leaves left = Slice(leaves, 0, k), right = Slice(leaves, k, leaves.size());
  return m < k ? Plus(SlowPath(m, left), SlowRoot(right)) : Plus(SlowPath(m - k, right), SlowRoot(left));
}

// RFC 6962 section 2.1.2.
MerkleProof SlowSubproof(std::size_t m, const Leaves& leaves, bool known) {
  if (m == leaves.size()) return known ? MerkleProof{} : MerkleProof{SlowRoot(leaves)};
  const std::size_t k = LargestPowerOfTwoBelow(leaves.size());
  const Leaves left = Slice(leaves, 0, k), right = Slice(leaves, k, leaves.size());
  return m <= k ? Plus(SlowSubproof(m, left, known), SlowRoot(right))
                : Plus(SlowSubproof(m - k, right, false), SlowRoot(left));
}

// draft-ietf-plants-merkle-tree-certs, "Generating a Subtree Consistency Proof".
MerkleProof SlowSubtreeSubproof(std::size_t start, std::size_t end, const Leaves& leaves, bool known) {
  if (start == 0 && end == leaves.size()) return known ? MerkleProof{} : MerkleProof{SlowRoot(leaves)};
  const std::size_t k = LargestPowerOfTwoBelow(leaves.size());
  const Leaves left = Slice(leaves, 0, k), right = Slice(leaves, k, leaves.size());
  if (end <= k) return Plus(SlowSubtreeSubproof(start, end, left, known), SlowRoot(right));
  if (k <= start) return Plus(SlowSubtreeSubproof(start - k, end - k, right, known), SlowRoot(left));
  return Plus(SlowSubtreeSubproof(0, end - k, right, false), SlowRoot(left));
}

constexpr std::size_t kSizes = 70;

Leaves TestLeaves(std::size_t size) {
  Leaves leaves;
  for (std::size_t i = 0; i < size; ++i) leaves.push_back(LeafHash("entry " + std::to_string(i)));
  return leaves;
}

PerfectSubtrees SubtreesOf(const Leaves& leaves) {
  return [&leaves](unsigned level, std::uint64_t index) {
    EXPECT_LE((index + 1) << level, leaves.size()) << "asked for a subtree that is not complete";
    return SlowRoot(Slice(leaves, index << level, (index + 1) << level));
  };
}

// No proof holds after any of its hashes changed, is gone, or is joined by another.
template <typename Check>
void ExpectOnlyThisProof(const MerkleProof& proof, const Check& verify) {
  ASSERT_TRUE(verify(proof));
  for (std::size_t i = 0; i < proof.size(); ++i) {
    MerkleProof changed = proof;
    changed[i].bytes[7] ^= 1;
    EXPECT_FALSE(verify(changed)) << "hash " << i << " changed";
    MerkleProof shorter = proof;
    shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(verify(shorter)) << "hash " << i << " left out";
  }
  EXPECT_FALSE(verify(Plus(proof, EmptyRoot())));
  MerkleProof preceded = proof;
  preceded.insert(preceded.begin(), EmptyRoot());
  EXPECT_FALSE(verify(preceded));
}

TEST(Merkle, RootsEqualTheRecursiveDefinition) {
  EXPECT_EQ(EmptyRoot().Hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (std::size_t size = 0; size <= kSizes; ++size) {
    const Leaves leaves = TestLeaves(size);
    EXPECT_EQ(TreeRoot(size, SubtreesOf(leaves)), SlowRoot(leaves)) << size;
    EXPECT_EQ(CombineNodes(leaves), SlowRoot(leaves)) << size;
  }
}

TEST(Merkle, InclusionProofsEqualTheRecursiveDefinitionAndOnlyTheyVerify) {
  for (std::size_t size = 1; size <= kSizes; ++size) {
    const Leaves leaves = TestLeaves(size);
    const Digest root = SlowRoot(leaves);
    for (std::size_t index = 0; index < size; ++index) {
      SCOPED_TRACE("entry " + std::to_string(index) + " of " + std::to_string(size));
      const MerkleProof proof = InclusionProof(index, size, SubtreesOf(leaves));
      EXPECT_EQ(proof, SlowPath(index, leaves));
      ExpectOnlyThisProof(
          proof, [&](const MerkleProof& tried) { return VerifyInclusion(index, size, leaves[index], tried, root); });
      EXPECT_FALSE(VerifyInclusion(index, size, LeafHash("stranger"), proof, root));
      EXPECT_FALSE(VerifyInclusion(index, size, leaves[index], proof, EmptyRoot()));
      for (std::size_t other = 0; other < size; ++other) {
        EXPECT_EQ(VerifyInclusion(other, size, leaves[index], proof, root), other == index) << other;
      }
    }
  }
}

TEST(Merkle, ConsistencyProofsEqualTheRecursiveDefinitionAndOnlyTheyVerify) {
  for (std::size_t size = 1; size <= kSizes; ++size) {
    const Leaves leaves = TestLeaves(size);
    const Digest root = SlowRoot(leaves);
    for (std::size_t old_size = 1; old_size <= size; ++old_size) {
      SCOPED_TRACE("from " + std::to_string(old_size) + " to " + std::to_string(size));
      const Digest old_root = SlowRoot(Slice(leaves, 0, old_size));
      const MerkleProof proof = ConsistencyProof(old_size, size, SubtreesOf(leaves));
      EXPECT_EQ(proof, SlowSubproof(old_size, leaves, true));
      ExpectOnlyThisProof(
          proof, [&](const MerkleProof& tried) { return VerifyConsistency(old_size, size, tried, old_root, root); });
      EXPECT_FALSE(VerifyConsistency(old_size, size, proof, LeafHash("forged"), root));
      EXPECT_FALSE(VerifyConsistency(old_size, size, proof, old_root, LeafHash("forged")));
    }
  }
}

TEST(Merkle, SubtreeProofsEqualTheRecursiveDefinitionAndOnlyTheyVerify) {
  constexpr std::size_t kSubtreeSizes = 36;  // Past a power of two; the number of triples grows fast.
  int subtrees = 0;
  for (std::size_t size = 1; size <= kSubtreeSizes; ++size) {
    const Leaves leaves = TestLeaves(size);
    const Digest root = SlowRoot(leaves);
    for (std::size_t start = 0; start < size; ++start) {
      for (std::size_t end = start + 1; end <= size; ++end) {
        const bool valid = start % std::bit_ceil(end - start) == 0;
        if (!valid) {
          EXPECT_THROW((void)SubtreeConsistencyProof(start, end, size, SubtreesOf(leaves)), Error);
          continue;
        }
        SCOPED_TRACE(std::to_string(start) + " to " + std::to_string(end) + " of " + std::to_string(size));
        ++subtrees;
        const Digest subtree_root = SlowRoot(Slice(leaves, start, end));
        EXPECT_EQ(SubtreeRoot(start, end, SubtreesOf(leaves)), subtree_root);
        const MerkleProof proof = SubtreeConsistencyProof(start, end, size, SubtreesOf(leaves));
        EXPECT_EQ(proof, SlowSubtreeSubproof(start, end, leaves, true));
        ExpectOnlyThisProof(proof, [&](const MerkleProof& tried) {
          return VerifySubtreeConsistency(start, end, size, tried, subtree_root, root);
        });
        const MerkleProof path = SubtreeInclusionProof(end - 1, start, end, SubtreesOf(leaves));
        EXPECT_TRUE(VerifySubtreeInclusion(end - 1, start, end, leaves[end - 1], path, subtree_root));
      }
    }
  }
  EXPECT_GT(subtrees, 1000);
}

TEST(Merkle, ProofsOutsideTheTreeAreRefusedAsInput) {
  const Leaves leaves = TestLeaves(5);
  const auto subtrees = SubtreesOf(leaves);
  const auto refused = [](const auto& call) {
    const auto failure = testing_support::FailureOf(call);
    return failure && failure->code == ErrorCode::kInvalidInput;
  };
  EXPECT_TRUE(refused([&] { (void)InclusionProof(5, 5, subtrees); }));
  EXPECT_TRUE(refused([&] { (void)InclusionProof(0, 0, subtrees); }));
  EXPECT_TRUE(refused([&] { (void)ConsistencyProof(0, 5, subtrees); }));
  EXPECT_TRUE(refused([&] { (void)ConsistencyProof(6, 5, subtrees); }));
  EXPECT_TRUE(refused([&] { (void)SubtreeInclusionProof(1, 2, 4, subtrees); }));
}

// 2^64 - 1 entries: a claim that anyone can make. The path of its last entry has 63 left siblings and nothing else.
TEST(Merkle, VerifyingTheLargestTreesIsBounded) {
  const std::uint64_t size = ~std::uint64_t{0};
  const Digest leaf = LeafHash("last");
  MerkleProof proof;
  Digest root = leaf;
  for (int i = 0; i < 63; ++i) {
    proof.push_back(LeafHash("sibling " + std::to_string(i)));
    root = NodeHash(proof.back(), root);
  }
  EXPECT_TRUE(VerifyInclusion(size - 1, size, leaf, proof, root));
  EXPECT_FALSE(VerifyInclusion(size - 2, size, leaf, proof, root));
  EXPECT_FALSE(VerifyInclusion(size - 1, size, leaf, MerkleProof(10'000, leaf), root));
  EXPECT_FALSE(VerifyConsistency(1, size, MerkleProof(10'000, leaf), leaf, root));
  EXPECT_FALSE(VerifySubtreeConsistency(1, size, size, {}, leaf, root));
}

}  // namespace
}  // namespace hemafed
