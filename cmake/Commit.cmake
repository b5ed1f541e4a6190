# cmake -DSOURCE=DIR -DOUTPUT=FILE.cpp -P Commit.cmake: says which commit is built (llmc --version). Runs in each build, and
# writes only what changed.
execute_process(COMMAND git -C "${SOURCE}" describe --always --abbrev=9 --dirty=+changes --exclude=* OUTPUT_VARIABLE commit
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0 OR NOT commit)
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT "extern const char *const llmcBuiltCommit = \"${commit}\";\n" @ONLY)
