// tests/studies/report/xml_elements.h
// SPDX-License-Identifier: Apache-2.0
//
// A strict reader of the XML that svg.h writes, for looking at single elements: tags must nest, attributes must be
// quoted and occur once, text may hold no bare '<', '&' or control character. Anything else throws std::runtime_error.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hemafed::studies {

struct XmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;  // References resolved.
  std::string text;                               // Of the element itself.

  [[nodiscard]] const std::string& Get(const std::string& key) const {
    const auto found = attributes.find(key);
    if (found == attributes.end()) throw std::runtime_error("<" + name + "> has no attribute " + key);
    return found->second;
  }
  [[nodiscard]] double Number(const std::string& key) const { return std::stod(Get(key)); }
};

class XmlReader {
 public:
  explicit XmlReader(std::string_view text) : text_(text) {}

  // All elements in the order of their start tags.
  std::vector<XmlElement> Read() {
    if (Rest().starts_with("<?xml ")) at_ = Find("?>") + 2;
    while (at_ < text_.size()) {
      if (text_[at_] != '<') {
        const std::size_t end = std::min(text_.find('<', at_), text_.size());
        const std::string part = Resolve(text_.substr(at_, end - at_));
        if (!open_.empty())
          elements_[open_.back()].text += part;
        else if (part.find_first_not_of("\n ") != std::string::npos)
          Fail("text outside the root");
        at_ = end;
      } else if (Rest().starts_with("</")) {
        const std::size_t end = Find(">");
        const std::string name(text_.substr(at_ + 2, end - at_ - 2));
        if (open_.empty() || elements_[open_.back()].name != name) Fail("</" + name + "> closes nothing");
        open_.pop_back();
        at_ = end + 1;
      } else {
        StartTag();
      }
    }
    if (!open_.empty()) Fail("<" + elements_[open_.back()].name + "> is never closed");
    return std::move(elements_);
  }

 private:
  [[noreturn]] void Fail(const std::string& problem) const {
    throw std::runtime_error("at byte " + std::to_string(at_) + ": " + problem);
  }
  [[nodiscard]] std::string_view Rest() const { return text_.substr(at_); }
  [[nodiscard]] std::size_t Find(std::string_view what) const {
    const std::size_t found = text_.find(what, at_);
    if (found == std::string_view::npos) Fail("no " + std::string(what));
    return found;
  }

  void StartTag() {
    if (open_.empty() && !elements_.empty()) Fail("a second root");
    XmlElement element;
    ++at_;
    element.name = Name();
    for (;;) {
      const bool blank = Rest().starts_with(" ");
      if (blank) ++at_;
      if (Rest().starts_with("/>") || Rest().starts_with(">")) break;
      if (!blank) Fail("no blank before an attribute");
      const std::string key = Name();
      if (!Rest().starts_with("=\"")) Fail("attribute without a quoted value");
      at_ += 2;
      const std::size_t end = Find("\"");
      const std::string_view value = text_.substr(at_, end - at_);
      if (value.find('<') != std::string_view::npos) Fail("'<' in an attribute");
      if (!element.attributes.emplace(key, Resolve(value)).second) Fail("attribute " + key + " twice");
      at_ = end + 1;
    }
    elements_.push_back(std::move(element));
    const bool empty = Rest().starts_with("/>");
    if (!empty) open_.push_back(elements_.size() - 1);
    at_ += empty ? 2 : 1;
  }

  std::string Name() {
    const std::size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '-'))
      ++at_;
    if (at_ == start) Fail("no name");
    return std::string(text_.substr(start, at_ - start));
  }

  [[nodiscard]] std::string Resolve(std::string_view raw) const {
    static const std::map<std::string_view, char> kReferences = {
        {"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"#39", '\''}};
    std::string out;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (static_cast<unsigned char>(raw[i]) < 0x20 && raw[i] != '\n' && raw[i] != '\t') Fail("a control character");
      if (raw[i] != '&') {
        out.push_back(raw[i]);
        continue;
      }
      const std::size_t end = raw.find(';', i);
      if (end == std::string_view::npos) Fail("a bare '&'");
      const auto found = kReferences.find(raw.substr(i + 1, end - i - 1));
      if (found == kReferences.end()) Fail("an unknown reference");
      out.push_back(found->second);
      i = end;
    }
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<XmlElement> elements_;
  std::vector<std::size_t> open_;
};

inline std::vector<XmlElement> ReadXml(std::string_view text) { return XmlReader(text).Read(); }

inline std::vector<XmlElement> Named(const std::vector<XmlElement>& elements, std::string_view name) {
  std::vector<XmlElement> out;
  for (const XmlElement& element : elements) {
    if (element.name == name) out.push_back(element);
  }
  return out;
}

// "x,y x,y ..." of a polyline or polygon.
inline std::vector<std::pair<double, double>> PointsOf(const XmlElement& element) {
  std::vector<std::pair<double, double>> out;
  const std::string& list = element.Get("points");
  for (const char* at = list.c_str(); *at != '\0';) {
    char* end = nullptr;
    const double x = std::strtod(at, &end);
    if (*end != ',') throw std::runtime_error("no comma in points");
    at = end + 1;
    const double y = std::strtod(at, &end);
    out.emplace_back(x, y);
    at = *end == ' ' ? end + 1 : end;
  }
  return out;
}

}  // namespace hemafed::studies
