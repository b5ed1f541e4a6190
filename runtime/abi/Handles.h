// The glue of the C ABI: handles, error objects, structs of other sizes, and no exception across.
#pragma once

#include "llmc/llmc.h"
#include "runtime/engine/Context.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>

struct llmc_error {
  int32_t code;
  std::string message;
};

struct llmc_model_handle {
  std::shared_ptr<const llmc::LoadedModel> model;
};

struct llmc_context {
  std::unique_ptr<llmc::Context> context;
};

struct llmc_sampler {
  std::shared_ptr<const llmc::LoadedModel> model;
  llmc::Sampler sampler;
};

struct llmc_decoder {
  std::shared_ptr<const llmc::LoadedModel> model;
  const llmc::Tokenizer *tokenizer;
  llmc::StreamDecoder decoder;
  std::string text;
};

namespace llmc::abi {

// Stores the error, if the caller wants it, and returns the code.
inline int32_t report(llmc_error **error, int32_t code, std::string_view message) noexcept {
  if (error) {
    try {
      *error = new llmc_error{code, std::string(message)};
    } catch (...) {
      *error = nullptr;
    }
  }
  return code;
}

// Runs a body that returns Expected<void>; what it throws becomes an error.
template <class Body> int32_t guard(llmc_error **error, Body body) noexcept {
  if (error)
    *error = nullptr;
  try {
    Expected<void> done = body();
    return done ? int32_t(LLMC_OK) : report(error, int32_t(done.error().code), done.error().message);
  } catch (const std::bad_alloc &) {
    return report(error, LLMC_INVALID_INPUT, "out of memory");
  } catch (const std::exception &failure) {
    return report(error, LLMC_INTERNAL, failure.what());
  } catch (...) {
    return report(error, LLMC_INTERNAL, "unknown exception");
  }
}

// The caller's struct at our size: members it does not know are 0. `given` null: all 0.
template <class T> Expected<T> readStruct(const T *given, const char *name) {
  T ours{};
  ours.struct_size = sizeof(T);
  if (!given)
    return ours;
  if (given->struct_size < sizeof(size_t))
    return invalidInput(std::string(name) + ": struct_size is not set");
  std::memcpy(&ours, given, std::min(given->struct_size, sizeof(T)));
  return ours;
}

// Our struct into the caller's room.
template <class T> Expected<void> writeStruct(T ours, T *room, const char *name) {
  if (!room || room->struct_size < sizeof(size_t))
    return invalidInput(std::string(name) + ": struct_size is not set");
  ours.struct_size = room->struct_size;
  std::memcpy(room, &ours, std::min(room->struct_size, sizeof(T)));
  return {};
}

// Zero-terminated, to be freed with llmc_free.
inline char *ownedText(const std::string &text) {
  char *copy = static_cast<char *>(std::malloc(text.size() + 1));
  if (!copy)
    throw std::bad_alloc();
  std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

template <class T> Expected<void> notNull(const T *pointer, const char *name) {
  if (pointer)
    return {};
  return invalidInput(std::string(name) + ": got NULL");
}

} // namespace llmc::abi
