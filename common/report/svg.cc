// SPDX-License-Identifier: Apache-2.0
#include "common/report/svg.h"

#include <array>
#include <string_view>

#include "common/error.h"
#include "common/report/markup.h"
#include "common/report/number_text.h"

namespace hemafed::report {

namespace {

// Two digits are a hundredth of a pixel; trailing zeros only cost bytes.
std::string Coordinate(double value) {
  std::string text = FormatFixed(value, 2);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string Attribute(std::string_view name, std::string_view value) {
  return " " + std::string(name) + "=\"" + EscapeMarkup(value) + "\"";
}

std::string Attribute(std::string_view name, double value) { return Attribute(name, Coordinate(value)); }

std::string Hex(Colour colour) {
  const std::array<std::uint8_t, 3> parts = {colour.red, colour.green, colour.blue};
  return "#" + HexEncode(parts);
}

std::string FillAttributes(Colour fill) {
  if (fill.opacity <= 0) return Attribute("fill", "none");
  std::string out = Attribute("fill", Hex(fill));
  if (fill.opacity < 1) out += Attribute("fill-opacity", fill.opacity);
  return out;
}

std::string StrokeAttributes(const Stroke& stroke) {
  std::string out = Attribute("stroke", Hex(stroke.colour)) + Attribute("stroke-width", stroke.width);
  if (stroke.colour.opacity < 1) out += Attribute("stroke-opacity", stroke.colour.opacity);
  std::string dash;
  for (const double length : stroke.dash) dash += (dash.empty() ? "" : " ") + Coordinate(length);
  if (!dash.empty()) out += Attribute("stroke-dasharray", dash);
  return out;
}

std::string OutlineAttributes(const std::optional<Stroke>& outline) {
  return outline ? StrokeAttributes(*outline) : std::string();
}

std::string PointsAttribute(const std::vector<Point>& points) {
  std::string list;
  for (const Point point : points) list += (list.empty() ? "" : " ") + Coordinate(point.x) + "," + Coordinate(point.y);
  return Attribute("points", list);
}

std::string BoxAttributes(Point corner, double width, double height) {
  return Attribute("x", corner.x) + Attribute("y", corner.y) + Attribute("width", width) + Attribute("height", height);
}

std::string_view AnchorName(Anchor anchor) {
  switch (anchor) {
    case Anchor::kStart: return "start";
    case Anchor::kMiddle: return "middle";
    case Anchor::kEnd: return "end";
  }
  return "start";
}

struct ShapeWriter {
  std::string operator()(const Polyline& line) const {
    return "<polyline" + PointsAttribute(line.points) + Attribute("fill", "none") + StrokeAttributes(line.stroke) +
           Attribute("stroke-linejoin", "round") + "/>";
  }
  std::string operator()(const Polygon& polygon) const {
    return "<polygon" + PointsAttribute(polygon.points) + FillAttributes(polygon.fill) +
           OutlineAttributes(polygon.outline) + "/>";
  }
  std::string operator()(const Rectangle& box) const {
    return "<rect" + BoxAttributes(box.corner, box.width, box.height) + FillAttributes(box.fill) +
           OutlineAttributes(box.outline) + "/>";
  }
  std::string operator()(const Circle& circle) const {
    return "<circle" + Attribute("cx", circle.centre.x) + Attribute("cy", circle.centre.y) +
           Attribute("r", circle.radius) + FillAttributes(circle.fill) + OutlineAttributes(circle.outline) + "/>";
  }
  std::string operator()(const Text& text) const {
    std::string out = "<text" + Attribute("x", text.at.x) + Attribute("y", text.at.y) +
                      Attribute("font-size", text.size) + FillAttributes(text.colour);
    if (text.anchor != Anchor::kStart) out += Attribute("text-anchor", AnchorName(text.anchor));
    if (text.bold) out += Attribute("font-weight", "bold");
    if (text.degrees != 0) {  // SVG turns clockwise.
      out += Attribute("transform", "rotate(" + Coordinate(-text.degrees) + " " + Coordinate(text.at.x) + " " +
                                        Coordinate(text.at.y) + ")");
    }
    return out + ">" + EscapeMarkup(text.text) + "</text>";
  }
  std::string operator()(const Image& image) const {
    return "<image" + BoxAttributes(image.corner, image.width, image.height) +
           Attribute("preserveAspectRatio", "none") + " href=\"" + DataUri(image.file) + "\"/>";
  }
};

}  // namespace

std::string RenderSvg(const Drawing& drawing, SvgUse use) {
  std::string out;
  if (use == SvgUse::kFile) out += "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  out += "<svg";
  if (use == SvgUse::kFile) out += " xmlns=\"http://www.w3.org/2000/svg\"";
  out += Attribute("viewBox", "0 0 " + Coordinate(drawing.width()) + " " + Coordinate(drawing.height())) +
         Attribute("width", drawing.width()) + Attribute("height", drawing.height()) +
         Attribute("font-family", "Helvetica, Arial, 'Liberation Sans', sans-serif") + Attribute("role", "img") + ">\n";
  out += "<title>" + EscapeMarkup(drawing.title()) + "</title>\n";
  for (const Shape& shape : drawing.shapes()) out += std::visit(ShapeWriter{}, shape) + "\n";
  return out + "</svg>\n";
}

std::string DataUri(ByteView file) {
  const std::optional<std::string> type = PictureType(file);
  if (!type) throw Error(ErrorCode::kInvalidInput, "a picture for a report is neither a PNG nor a JPEG file");
  return "data:" + *type + ";base64," + Base64Encode(file);
}

}  // namespace hemafed::report
