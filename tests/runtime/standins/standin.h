// What a test can ask of the stand-in libraries, and tell them to do wrong. One state for the whole
// process; it lives in the stand-in of libcudart.
//
// A plan of faults is a list "function:n=fault", separated by ";". n is the call that is hit,
// counted from 1 since the plan was set; * hits every call. Faults:
//   fail[=code]  the call does nothing and returns the code (a function that returns a text: null)
//   late[=code]  the call does its work and returns the code all the same; for cudlaSubmitTask the
//                code comes from cudlaGetLastError instead, as an error of the hardware does
//   delay=ms     the call takes so long; for cudlaSubmitTask the task on the stream does
//   hang         as delay, until standin_release_hangs()
//   corrupt[=n]  the call reports success and what it gives is wrong: nothing, or n, or one of the
//                ways that n numbers
// The environment variable UNINA_STANDIN_FAULTS is the plan of the start. With
// UNINA_STANDIN_REPORT=FILE the process writes calls, live objects and violations there at its end.
#pragma once

extern "C" {

// Null when the plan was understood, else what is wrong with it. Counts start anew.
const char* standin_set_faults(const char* plan);
// Calls of a function since the plan was set.
int standin_calls(const char* function);
// How often a fault has hit a function since the process began.
int standin_faults_hit(const char* function);

// Objects that were created and not released, of every stand-in.
int standin_live_objects();
// "1 device, 2 registrations"; "" for none. Valid until the next call.
const char* standin_live_description();
// Counts them no longer, after a test that made a release fail.
void standin_forget_objects();
// Misuse that the vendor's libraries may or may not notice: "" for none. Valid until the next call.
const char* standin_violations();
void standin_clear_violations();

void standin_release_hangs();

}  // extern "C"
