// What a C++ compiler driver would link into a shared library from crtbeginS.o: a compiled model is linked by lld
// alone. Only llmc-core.o holds this file.

extern "C" {

void __cxa_finalize(void *dso);

// The library's identity for __cxa_atexit, which registers destructors of static objects.
__attribute__((visibility("hidden"))) void *__dso_handle = &__dso_handle;

// Runs those destructors when the library is closed: afterwards their code is gone.
__attribute__((destructor)) static void runStaticDestructors() { __cxa_finalize(__dso_handle); }
}
