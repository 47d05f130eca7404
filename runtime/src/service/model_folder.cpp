// What unina-compile made for a detector: bundle, loadable or engine, and detector.env, which says
// what runs them. The folder is given as a link, which an update lets point to another folder.
#include <filesystem>
#include <fstream>
#include <string>

#include "printable.h"
#include "service/configuration.h"
#include "unina/error.h"

namespace unina {
namespace {

// At most this many lines are read: there are two.
constexpr int kMostLines = 16;

}  // namespace

std::string model_folder(const std::string& model) {
  std::error_code failed;
  const std::filesystem::path folder = std::filesystem::canonical(model, failed);
  return failed ? std::string() : folder.string();
}

void take_model(Configuration& configuration) {
  // Resolved once: bundle and loadable are of the same folder, whatever happens to the link.
  const std::string folder = model_folder(configuration.model);
  std::ifstream environment(folder + "/detector.env");
  if (folder.empty() || !environment) {
    throw Error("model " + printable(configuration.model) +
                ": is not what unina-compile makes: a folder with a detector.env");
  }
  configuration.model_taken = folder;
  configuration.bundle = folder + "/bundle";
  configuration.dla_loadable = folder + "/loadable.bin";
  configuration.dla1_loadable.clear();
  configuration.tensorrt.engine = folder + "/engine.plan";
  configuration.tensorrt.dla_core = -1;
  std::string line;
  for (int number = 0; number < kMostLines && std::getline(environment, line); ++number) {
    const std::size_t equals = line.find('=');
    const std::string name = line.substr(0, equals);
    for (const auto& [variable, key] :
         {std::pair("UNINA_ACCELERATOR", "accelerator"), std::pair("UNINA_DLA", "dla")}) {
      if (equals == std::string::npos || name != variable) continue;
      try {
        find_configuration_key(key)->set(configuration, line.substr(equals + 1));
      } catch (const Error& error) {
        throw Error(folder + "/detector.env: " + variable + ": " + error.what());
      }
    }
  }
}

}  // namespace unina
