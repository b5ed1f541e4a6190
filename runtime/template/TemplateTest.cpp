// Places in errors, bounds on hostile templates, and what this engine refuses. GoldenTest.cpp compares with the reference.
#include "runtime/template/Template.h"

#include "runtime/template/Print.h"

#include <gtest/gtest.h>

namespace llmc::jinja {
namespace {

Expected<std::string> render(const std::string &source, const Limits &limits = {}, const std::string &variables = "{}") {
  Rendering rendering(limits);
  auto parsed = Template::parse(source);
  if (!parsed)
    return std::unexpected(parsed.error());
  auto values = fromJson(rendering, variables, "variables");
  if (!values)
    return std::unexpected(values.error());
  Variables named;
  for (const auto &[key, value] : values->dict().entries)
    named.emplace_back(key.text(), value);
  return parsed->render(rendering, named);
}

std::string errorOf(const std::string &source, const Limits &limits = {}) {
  auto text = render(source, limits);
  return text ? "no error: " + *text : text.error().message;
}

TEST(Template, SaysWhereSyntaxIsWrong) {
  EXPECT_EQ("line 2, column 9: want '%}', got 'b'", errorOf("a\n{% if a b %}"));
  EXPECT_EQ("line 1, column 1: this tag has no end: want '}}'", errorOf("{{ a "));
  EXPECT_EQ("line 1, column 4: this block has no end: want '{% endif %}'", errorOf("{% if true %}"));
  EXPECT_EQ("line 1, column 6: unexpected ')'", errorOf("{{ a ) }}"));
  EXPECT_EQ("line 3, column 4: unknown tag 'foo'", errorOf("é\r\n\r\n{% foo %}"));
}

TEST(Template, SaysWhereEvaluationFails) {
  EXPECT_EQ("line 2, column 6: 'b' is undefined", errorOf("{% set a = 1 %}\n{{ a + b }}"));
  EXPECT_EQ("line 1, column 29: division by zero", errorOf("{% macro f(x) %}é{{ f2 if 1 // x }}{% endmacro %}{{ f(0) }}"));
  EXPECT_EQ("line 1, column 19: the template refuses this conversation: no", errorOf("{{ raise_exception('no') }}"));
}

TEST(Template, RefusesWhatItHasNot) {
  for (const char *source : {"{% include 'x' %}", "{{ 1 | urlize }}", "{{ 'a'.encode() }}", "{{ 9223372036854775807 + 1 }}", "{{ joiner() }}"}) {
    auto text = render(source);
    ASSERT_FALSE(text.has_value()) << source;
    EXPECT_EQ(ErrorCode::Unsupported, text.error().code) << source;
  }
}

TEST(Template, BoundsSteps) {
  Limits limits{.steps = 10000};
  EXPECT_NE(std::string::npos, errorOf("{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}", limits).find("10000 steps"));
  EXPECT_TRUE(render("{% for i in range(100) %}{{ i }}{% endfor %}", limits).has_value());
}

TEST(Template, BoundsMemory) {
  Limits limits{.bytes = 1 << 20};
  const char *doubling = "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}";
  EXPECT_NE(std::string::npos, errorOf(doubling, limits).find("1048576 bytes"));
  EXPECT_NE(std::string::npos, errorOf("{{ 'a' * 1000000000000 }}").find("bytes of text"));
  EXPECT_NE(std::string::npos, errorOf("{{ '%1000000d' % 1 }}").find("width"));
  EXPECT_NE(std::string::npos, errorOf("{{ [0] * 4611686018427387904 }}").find("bytes of text"));
  EXPECT_NE(std::string::npos, errorOf("{{ 'a'.center(99999999999) }}").find("bytes of text"));
}

TEST(Template, BoundsOutput) {
  Limits limits{.outputBytes = 1000};
  EXPECT_NE(std::string::npos, errorOf("{% for i in range(2000) %}a{% endfor %}", limits).find("1000 bytes"));
  EXPECT_EQ(1000u, render("{% for i in range(1000) %}a{% endfor %}", limits).value_or("").size());
}

TEST(Template, BoundsDepth) {
  EXPECT_NE(std::string::npos, errorOf("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").find("levels"));
  EXPECT_NE(std::string::npos, errorOf("{{ " + std::string(100000, '(') + "1" + std::string(100000, ')') + " }}").find("levels"));
  EXPECT_NE(std::string::npos, errorOf("{{ " + std::string(100000, '-') + "1 }}").find("levels"));
  std::string blocks;
  for (int i = 0; i < 10000; ++i)
    blocks += "{% if 1 %}";
  EXPECT_NE(std::string::npos, errorOf(blocks).find("levels"));
  std::string sum = "{{ 1";
  for (int i = 0; i < 100000; ++i)
    sum += " + 1";
  EXPECT_NE(std::string::npos, errorOf(sum + " }}").find("levels"));
  const char *nesting = "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}";
  EXPECT_NE(std::string::npos, errorOf(nesting + std::string("{{ ns.x }}")).find("levels"));
  EXPECT_NE(std::string::npos, errorOf(nesting + std::string("{{ ns.x == [ns.x] }}")).find("levels"));
  EXPECT_NE(std::string::npos, errorOf(nesting + std::string("{{ ns.x | tojson }}")).find("levels"));
}

TEST(Template, BoundsWhatKeysTake) {
  const char *wide = "{% set t = (0,) * 1000 %}{% set u = (t,) * 1000 %}{% set v = (u,) * 1000 %}{{ {v: 1} }}";
  EXPECT_NE(std::string::npos, errorOf(wide).find("steps"));
  std::string many = "{{ f(";
  for (int i = 0; i < 300; ++i)
    many += "a" + std::to_string(i) + "=1,";
  EXPECT_NE(std::string::npos, errorOf(many + ") }}").find("at most 250 arguments"));
}

TEST(Template, KeepsManyVariables) {
  std::string source;
  for (int i = 0; i < 40; ++i)
    source += "{% set v" + std::to_string(i) + " = " + std::to_string(i) + " %}";
  EXPECT_EQ("0 39 7", render(source + "{% set v3 = 7 %}{{ v0 }} {{ v39 }} {{ v3 }}").value_or(""));
}

TEST(Template, FreesNamespacesThatHoldThemselves) {
  EXPECT_NE(std::string::npos, errorOf("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}").find("levels"));
}

TEST(Template, KeepsManyMembersInOrder) {
  std::string json = "{\"d\": {", want;
  for (int i = 0; i < 100; ++i) {
    std::string key = "k" + std::to_string(99 - i);
    json += (i ? ", \"" : "\"") + key + "\": " + std::to_string(i);
    want += key + "=" + std::to_string(i) + ";";
  }
  EXPECT_EQ(want + "42", render("{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{{ d.k57 }}", {}, json + "}}").value_or(""));
}

TEST(Template, RefusesTextThatIsNotUtf8) { EXPECT_EQ("it is not UTF-8", errorOf("a\xff")); }

} // namespace
} // namespace llmc::jinja
