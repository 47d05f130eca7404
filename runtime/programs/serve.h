// The forms of unina-detector beside the one that works through a source and ends.
#pragma once

namespace unina {

// `unina-detector serve`: the service. 0: stopped by SIGTERM; 1: the accelerator failed; 2: the
// configuration, the bundle or a sink is bad.
int serve_main(int argc, char** argv);

// `unina-detector ctl`: asks a running service. 0: good; 1: it runs and delivers nothing; 2: no
// answer.
int ctl_main(int argc, char** argv);

}  // namespace unina
