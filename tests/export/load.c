/* Loads a SavedModel with TensorFlow's C library, as the server does, and runs it once.
   Arguments: folder, user's tensor, item's tensor, output's tensor. Prints the answer. */
#include <stdio.h>
#include <string.h>
#include <tensorflow/c/c_api.h>

static TF_Output endpoint(TF_Graph *graph, const char *tensor) {
  char name[512];
  snprintf(name, sizeof name, "%s", tensor);
  char *colon = strrchr(name, ':');
  *colon = 0;
  TF_Output output = {TF_GraphOperationByName(graph, name), colon[1] - '0'};
  return output;
}

static TF_Tensor *ids(int first, int second) {
  int64_t shape[] = {2};
  TF_Tensor *tensor = TF_AllocateTensor(TF_INT32, shape, 1, 2 * sizeof(int32_t));
  int32_t *values = TF_TensorData(tensor);
  values[0] = first;
  values[1] = second;
  return tensor;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  const char *tags[] = {"serve"};
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_Session *session = TF_LoadSessionFromSavedModel(
      TF_NewSessionOptions(), NULL, argv[1], tags, 1, graph, NULL, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_Output inputs[] = {endpoint(graph, argv[2]), endpoint(graph, argv[3])};
    TF_Tensor *values[] = {ids(1, 2), ids(3, 4)};
    TF_Output output = endpoint(graph, argv[4]);
    TF_Tensor *answer = NULL;
    TF_SessionRun(session, NULL, inputs, values, 2, &output, &answer, 1, NULL, 0, NULL, status);
    if (TF_GetCode(status) == TF_OK) {
      float *rows = TF_TensorData(answer);
      printf("%.9g %.9g\n", rows[0], rows[1]);
      return 0;
    }
  }
  fprintf(stderr, "%s\n", TF_Message(status));
  return 1;
}
