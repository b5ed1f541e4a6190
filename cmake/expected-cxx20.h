// Forced into every file of the compile side, which is parsed as C++20: MLIR 22's headers do not parse as C++23 with
// libstdc++ 12 (relaxed constexpr makes clang instantiate std::vector's destructor for a type that is incomplete there).
// The runtime's headers use std::expected, whose header is valid C++20 but guarded by the language version: open the guard.
#pragma once
#ifdef __cplusplus
#define _GLIBCXX_USE_DEPRECATED 0 // or <exception> declares C++98's function std::unexpected
#include <bits/exception_defines.h>
#include <bits/stl_construct.h>
#include <bits/utility.h>
#include <exception>
#include <initializer_list>
#include <string>
#if __cplusplus <= 202002L
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wbuiltin-macro-redefined"
#pragma push_macro("__cplusplus")
#undef __cplusplus
#define __cplusplus 202302L
#include <expected>
#pragma pop_macro("__cplusplus")
#pragma clang diagnostic pop
#endif
#endif
