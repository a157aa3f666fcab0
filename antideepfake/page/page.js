// Listening: the audio element and the picture of the same figure.player follow each other.
(() => {
  const find = (element) => {
    const player = element.closest(".adf")?.querySelector(".player");
    return player && { audio: player.querySelector("audio"), track: player.querySelector(".track"),
      duration: Number(player.dataset.duration) };
  };
  const format = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
  const show = ({ track, duration }, seconds) => {
    track.querySelector(".cursor").style.left = `${Math.min(100, (100 * seconds) / duration)}%`;
    track.setAttribute("aria-valuenow", seconds.toFixed(1));
    track.setAttribute("aria-valuetext", format(seconds));
  };
  const seek = (player, seconds, play) => {
    const target = Math.max(0, Math.min(player.duration - 0.01, seconds));
    player.audio.currentTime = target;
    show(player, target);
    if (play) player.audio.play();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".adf [data-seek]"), track = event.target.closest(".adf .track");
    if (link) seek(find(link), Number(link.dataset.seek), true);
    if (track) {
      const box = track.getBoundingClientRect();
      const player = find(track);
      seek(player, ((event.clientX - box.left) / box.width) * player.duration, true);
    }
  });
  document.addEventListener("keydown", (event) => {
    const track = event.target.closest?.(".adf .track");
    if (!track) return;
    const player = find(track), now = player.audio.currentTime, step = Math.max(1, player.duration / 100);
    const moves = { ArrowRight: now + step, ArrowUp: now + step, ArrowLeft: now - step, ArrowDown: now - step, Home: 0,
      End: player.duration };
    if (event.key in moves) seek(player, moves[event.key], false);
    else if (event.key === "Enter" || event.key === " ") player.audio.paused ? player.audio.play() : player.audio.pause();
    else return;
    event.preventDefault();
  });
  // events of audio elements do not bubble
  for (const name of ["timeupdate", "seeked"])
    document.addEventListener(name, (event) => {
      const player = event.target.closest?.(".adf .player") && find(event.target);
      if (player) show(player, player.audio.currentTime);
    }, true);
})();
