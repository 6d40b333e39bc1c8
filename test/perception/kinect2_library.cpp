// A counterpart of drivers/kinect2/shim.cpp with the same C functions: a Kinect that shows a
// ramp, without a device. Serial "gone" is not there.
#include <cstdint>
#include <cstring>
#include <thread>
#include <chrono>

extern "C" {
void *sg_k2_open(const char *serial, char *message, int32_t size) {
  if (std::strcmp(serial, "gone") == 0) {
    std::strncpy(message, "no device gone; connected: R1", size - 1);
    return nullptr;
  }
  return new int(0);
}
void sg_k2_serial(void *, char *text, int32_t size) { std::strncpy(text, "R1", size - 1); }
int32_t sg_k2_wait(void *handle, int32_t, uint8_t *color, float *depth) {
  std::this_thread::sleep_for(std::chrono::milliseconds(33));
  int &count = *static_cast<int *>(handle);
  ++count;
  for (int i = 0; i < 1920 * 1080; ++i) {
    color[4 * i] = 10, color[4 * i + 1] = 20, color[4 * i + 2] = 30, color[4 * i + 3] = 255;
  }
  for (int i = 0; i < 512 * 424; ++i) depth[i] = 800.0f + i % 512;
  return 1;
}
void sg_k2_depth_lens(void *, float *values) {
  const float all[7] = {366, 366, 256, 208, 0.09f, -0.27f, 0.1f};
  std::memcpy(values, all, sizeof(all));
}
void sg_k2_map(void *, int32_t count, const int32_t *uv, const float *mm, float *out) {
  for (int32_t i = 0; i < count; ++i) {
    const float z = mm[i] / 1000;
    const float x = (uv[2 * i] - 256) / 366.0f * z + 0.052f, y = (uv[2 * i + 1] - 208) / 366.0f * z;
    out[2 * i] = 1081 * x / z + 960, out[2 * i + 1] = 1081 * y / z + 540;
  }
}
void sg_k2_close(void *handle) { delete static_cast<int *>(handle); }
}
