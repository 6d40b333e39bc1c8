// C functions over libfreenect2 (0.2), for selfgrasp_nodes/perception/devices/kinect2_runtimes.py.
// Pictures are handed on as the library delivers them: mirrored, colour BGRX, depth in mm.
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include <libfreenect2/frame_listener_impl.h>
#include <libfreenect2/libfreenect2.hpp>
#include <libfreenect2/packet_pipeline.h>
#include <libfreenect2/registration.h>

namespace {

using libfreenect2::Frame;

struct Kinect {
  Kinect() : listener(Frame::Color | Frame::Depth) {}

  libfreenect2::Freenect2 context;
  libfreenect2::SyncMultiFrameListener listener;
  libfreenect2::Freenect2Device *device = nullptr;  // owned by the context
  std::unique_ptr<libfreenect2::Registration> registration;
  std::string serial;
};

void put(char *text, int32_t size, const std::string &message) {
  if (text == nullptr || size <= 0) return;
  std::strncpy(text, message.c_str(), static_cast<size_t>(size) - 1);
  text[size - 1] = '\0';
}

}  // namespace

extern "C" {

// Opens the device of a serial number, or the first one; null and a reason where that fails.
void *sg_k2_open(const char *serial, char *message, int32_t size) {
  try {
    std::unique_ptr<Kinect> kinect(new Kinect);
    const int count = kinect->context.enumerateDevices();
    if (count == 0) {
      put(message, size, "no Kinect v2 is plugged in");
      return nullptr;
    }
    std::string found;
    for (int i = 0; i < count; ++i) {
      const std::string one = kinect->context.getDeviceSerialNumber(i);
      if (*serial == '\0' || one == serial) kinect->serial = one;
      found += (i ? ", " : "") + one;
      if (!kinect->serial.empty()) break;
    }
    if (kinect->serial.empty()) {
      put(message, size, std::string("no device ") + serial + "; connected: " + found);
      return nullptr;
    }
    kinect->device = kinect->context.openDevice(
        kinect->serial, new libfreenect2::CpuPacketPipeline());  // the device takes it over
    if (kinect->device == nullptr) {
      put(message, size, "it is in use, or its USB port is not USB 3");
      return nullptr;
    }
    kinect->device->setColorFrameListener(&kinect->listener);
    kinect->device->setIrAndDepthFrameListener(&kinect->listener);
    if (!kinect->device->start()) {
      put(message, size, "it does not start");
      kinect->device->close();
      return nullptr;
    }
    kinect->registration.reset(new libfreenect2::Registration(
        kinect->device->getIrCameraParams(), kinect->device->getColorCameraParams()));
    return kinect.release();
  } catch (const std::exception &error) {
    put(message, size, error.what());
    return nullptr;
  }
}

void sg_k2_serial(void *handle, char *text, int32_t size) {
  put(text, size, static_cast<Kinect *>(handle)->serial);
}

// Waits for a colour and a depth frame: 1 where both came in time. color: 1920 x 1080 x 4 bytes,
// depth: 512 x 424 floats [mm].
int32_t sg_k2_wait(void *handle, int32_t milliseconds, uint8_t *color, float *depth) {
  Kinect *kinect = static_cast<Kinect *>(handle);
  libfreenect2::FrameMap frames;
  if (!kinect->listener.waitForNewFrame(frames, milliseconds)) return 0;
  const Frame *rgb = frames[Frame::Color];
  const Frame *distance = frames[Frame::Depth];
  std::memcpy(color, rgb->data, rgb->width * rgb->height * 4);
  std::memcpy(depth, distance->data, distance->width * distance->height * sizeof(float));
  if (rgb->format == Frame::RGBX) {
    for (size_t i = 0; i < rgb->width * rgb->height; ++i) std::swap(color[4 * i], color[4 * i + 2]);
  }
  kinect->listener.release(frames);
  return 1;
}

// fx, fy, cx, cy, k1, k2, k3 of the depth picture.
void sg_k2_depth_lens(void *handle, float *values) {
  const auto lens = static_cast<Kinect *>(handle)->device->getIrCameraParams();
  const float all[7] = {lens.fx, lens.fy, lens.cx, lens.cy, lens.k1, lens.k2, lens.k3};
  std::memcpy(values, all, sizeof(all));
}

// Colour pixels of straightened depth pixels (u, v) at depths [mm].
void sg_k2_map(void *handle, int32_t count, const int32_t *pixels, const float *depth,
               float *mapped) {
  const auto &registration = *static_cast<Kinect *>(handle)->registration;
  for (int32_t i = 0; i < count; ++i) {
    const int u = pixels[2 * i], v = pixels[2 * i + 1];
    if (u < 0 || v < 0 || u >= 512 || v >= 424) continue;
    registration.apply(u, v, depth[i], mapped[2 * i], mapped[2 * i + 1]);
  }
}

void sg_k2_close(void *handle) {
  std::unique_ptr<Kinect> kinect(static_cast<Kinect *>(handle));
  kinect->device->stop();
  kinect->device->close();
}

}  // extern "C"
