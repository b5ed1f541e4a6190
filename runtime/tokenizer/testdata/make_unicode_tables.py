#!/usr/bin/env python3
"""Writes UnicodeTables.inc: where the Unicode data of `tokenizers` (the reference) and of utf8proc differ.

    pip install tokenizers unicodedata2 cffi; make_unicode_tables.py > UnicodeTables.inc

Every class is read off the reference library by asking it about each code point, and compared with the shared utf8proc
that this machine has, so the tables hold differences only. Ranges are inclusive.
"""
import ctypes, ctypes.util, sys
import unicodedata2
from tokenizers import Regex, normalizers as nz, pre_tokenizers as pt

u8 = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
u8.utf8proc_category_string.restype = ctypes.c_char_p
CPS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CAT = {c: u8.utf8proc_category_string(c).decode() for c in CPS}


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1: out[-1][1] = c
        else: out.append([c, c])
    return out


def emit(name, points):
    print(f"constexpr CodePointRange {name}[] = {{")
    line = "   "
    for a, b in ranges(points):
        item = f" {{0x{a:X}, 0x{b:X}}},"
        if len(line + item) > 118: print(line); line = "   "
        line += item
    print(line + "\n};")


def removed(normalizer):
    """Code points that a normalizer deletes."""
    return {c for c in CPS if normalizer.normalize_str(chr(c)) == ""}


def splits(pre):
    """Code points at which a pre-tokenizer cuts."""
    return {c for c in CPS if len(pre.pre_tokenize_str("q" + chr(c) + "q")) > 1}


def regex_class(name):
    n = nz.Replace(Regex(r"\p{%s}" % name), ""); out = set()
    for i in range(0, len(CPS), 1000):
        block = CPS[i:i + 1000]; kept = set(map(ord, n.normalize_str("".join(map(chr, block))))); out |= set(block) - kept
    return out


def cat(*names): return {c for c in CPS if CAT[c] in names}


print("// Made by testdata/make_unicode_tables.py from `tokenizers` and utf8proc; do not edit.\n")
print("// Assigned in the Unicode version of the reference's regular expressions, but not in Unicode 14.")
unassigned = regex_class("Cn")
later = [c for c in CPS if c not in unassigned and CAT[c] == "Cn"]
# utf8proc 2.8 knows Unicode 15; PCRE2 10.42 knows 14: the blocks that Unicode 15 added are listed too.
ADDED_15 = [(0xCF3, 0xCF3), (0xECE, 0xECE), (0x10EFD, 0x10EFF), (0x1123F, 0x11241), (0x11B00, 0x11B09), (0x11F00, 0x11F10), (0x11F12, 0x11F3A), (0x11F3E, 0x11F59),
            (0x1342F, 0x1342F), (0x13439, 0x13455), (0x1B132, 0x1B132), (0x1B155, 0x1B155), (0x1D2C0, 0x1D2D3), (0x1DF25, 0x1DF2A), (0x1E030, 0x1E06D), (0x1E08F, 0x1E08F),
            (0x1E4D0, 0x1E4F9), (0x1F6DC, 0x1F6DC), (0x1F774, 0x1F776), (0x1F77B, 0x1F77F), (0x1F7D9, 0x1F7D9), (0x1FA75, 0x1FA77), (0x1FA87, 0x1FA88), (0x1FAAD, 0x1FAAF),
            (0x1FABB, 0x1FABD), (0x1FABF, 0x1FABF), (0x1FACE, 0x1FACF), (0x1FADA, 0x1FADB), (0x1FAE8, 0x1FAE8), (0x1FAF7, 0x1FAF8), (0x2B739, 0x2B739), (0x31350, 0x323AF)]
points = {c: unicodedata2.category(chr(c)) for c in later}
points |= {c: CAT[c] for a, b in ADDED_15 for c in range(a, b + 1) if CAT[c] != "Cn"}
print("constexpr CategoryRange kAssignedLater[] = {")
run = []
for c in sorted(points):
    if run and run[-1][1] == c - 1 and run[-1][2] == points[c]: run[-1][1] = c
    else: run.append([c, c, points[c]])
line = "   "
for a, b, k in run:
    item = f" {{0x{a:X}, 0x{b:X}, UTF8PROC_CATEGORY_{k.upper()}}},"
    if len(line + item) > 118: print(line); line = "   "
    line += item
print(line + "\n};")

P = cat("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"); ascii_punct = set(map(ord, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"))
punct = splits(pt.Punctuation("isolated"))
print("// Punctuation of the Punctuation and BertPreTokenizer pre-tokenizers.")
emit("kPunctuationNot", P - punct - ascii_punct); emit("kPunctuationExtra", punct - P - ascii_punct)
marks = removed(nz.StripAccents())
print("// Combining marks of StripAccents, and nonspacing marks of BertNormalizer.")
emit("kCombiningNot", cat("Mn", "Mc", "Me") - marks); emit("kCombiningExtra", marks - cat("Mn", "Mc", "Me"))
nonspacing = removed(nz.BertNormalizer(False, False, True, False))
emit("kNonspacingNot", cat("Mn") - nonspacing); emit("kNonspacingExtra", nonspacing - cat("Mn"))
clean = removed(nz.BertNormalizer(True, False, False, False)) - {0xFFFD}
print("// Control characters of BertNormalizer.")
emit("kControlNot", cat("Cc", "Cf", "Co") - clean - {9, 10, 13})
print("// Newer than the reference's normalization data: such a character neither decomposes, composes nor reorders.")
inert = {0x11930, 0x11935}
u8.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_int16)
nfd, nfkd = nz.NFD(), nz.NFKD()


def u8_map(c, options):
    out = ctypes.c_void_p(); s = chr(c).encode()
    u8.utf8proc_map.argtypes = [ctypes.c_char_p, ctypes.c_ssize_t, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int]; u8.utf8proc_map.restype = ctypes.c_ssize_t
    n = u8.utf8proc_map(s, len(s), ctypes.byref(out), options)
    return ctypes.string_at(out, n).decode() if n >= 0 else None


for c in CPS:
    if c == 0: continue
    if u8_map(c, 2 | 16) != nfd.normalize_str(chr(c)) or u8_map(c, 2 | 16 | 4) != nfkd.normalize_str(chr(c)): inert.add(c)
    ccc = u8.utf8proc_get_property(c)[1]
    if ccc > 1 and nfd.normalize_str(chr(c) + "\u0334")[0] != "\u0334" and len(nfd.normalize_str(chr(c))) == 1: inert.add(c)
    if ccc == 1 and nfd.normalize_str("\u0315" + chr(c))[-1] != "\u0315": inert.add(c)
emit("kNormalizationInert", inert)
lower = nz.Lowercase()
u8.utf8proc_tolower.restype = ctypes.c_int32
print("// Lowercase mappings newer than utf8proc's: first, last, and the distance to the lower letter.")
run = []
for c in CPS:
    got = lower.normalize_str(chr(c))
    if c != 0x130 and got != chr(u8.utf8proc_tolower(c)):
        d = ord(got) - c
        if run and run[-1][1] == c - 1 and run[-1][2] == d: run[-1][1] = c
        else: run.append([c, c, d])
print("constexpr LowerRange kLowerLater[] = {\n   ", " ".join(f"{{0x{a:X}, 0x{b:X}, {d}}}," for a, b, d in run), "\n};")


def script_runs():
    """[[first, last, number]]: the scripts between which UnicodeScripts cuts. Characters of no script are left out."""
    pre = pt.UnicodeScripts()

    def cuts(text): return {a for _, (a, _) in pre.pre_tokenize_str(text)}
    # A character of no script joins both its neighbours, whatever they are.
    scripted, block = [], 4096
    for i in range(0, len(CPS), block):
        points = CPS[i:i + block]; at = cuts("".join("a" + chr(c) + "\u0436" + chr(c) for c in points))
        scripted += [c for n, c in enumerate(points) if 4 * n + 1 in at or 4 * n + 3 in at]
    at = cuts("".join(map(chr, scripted))); runs = []
    for n, c in enumerate(scripted):
        if n in at or not runs: runs.append([c, c])
        elif runs[-1][1] == c - 1: runs[-1][1] = c
        else: runs.append([c, c])
    samples = []
    for run in runs:
        pairs = "".join(s + chr(run[0]) for s in samples); at = cuts(pairs)
        same = [n for n in range(len(samples)) if 2 * n + 1 not in at]
        if not same: samples.append(chr(run[0]))
        run.append(same[0] if same else len(samples) - 1)
    return runs


print("// Scripts by number, as UnicodeScripts has them.")
print("constexpr ScriptRange kScripts[] = {")
line = "   "
for a, b, number in script_runs():
    item = f" {{0x{a:X}, 0x{b:X}, {number}}},"
    if len(line + item) > 118: print(line); line = "   "
    line += item
print(line + "\n};")
