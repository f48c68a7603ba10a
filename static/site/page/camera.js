// A still from the camera, where there is one and the page may use it.

import { find } from "./dom.js";

const WORDS = {
  NotAllowedError: "The browser does not let this page use the camera. You can allow it beside the address.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera is in use by another program.",
};

export function setUpCamera(onFiles) {
  const button = find("[data-camera]");
  const dialog = find("[data-camera-dialog]");
  const [video, says, shoot] = [find("video", dialog), find(".says", dialog), find("[data-shoot]", dialog)];
  if (!navigator.mediaDevices?.getUserMedia) return; // no camera without TLS, except on localhost
  button.hidden = false;

  button.addEventListener("click", async () => {
    says.textContent = "";
    shoot.disabled = true;
    dialog.showModal();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 } } });
      if (!dialog.open) stop(stream);
      else video.srcObject = stream;
    } catch (error) {
      says.textContent = WORDS[error.name] ?? "The camera cannot be used.";
    }
  });
  video.addEventListener("loadeddata", () => { shoot.disabled = false; });
  dialog.addEventListener("close", () => {
    stop(video.srcObject);
    video.srcObject = null;
  });
  find("[data-close]", dialog).addEventListener("click", () => dialog.close());
  shoot.addEventListener("click", async () => {
    const file = await still(video);
    dialog.close();
    onFiles([file]);
  });
}

const stop = (stream) => stream?.getTracks().forEach((track) => track.stop());

async function still(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  return new File([blob], "camera.jpg", { type: "image/jpeg" });
}
