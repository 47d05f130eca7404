"""`unina-compile update` beside a real detector: a good model is kept, a bad one goes back by itself."""

import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from service_process import ServiceProcess, until
from update_car import Car, Patient

from unina_runtime.compile import health


@pytest.fixture
def car(tmp_path: Path) -> Car:
    return Car(tmp_path)


def during_the_trial(car: Car, service: ServiceProcess, then: Callable[[], None]) -> threading.Thread:
    """Runs `then` as soon as the detector serves something else than what was accepted."""
    accepted = str(car.machine.state / "current" / "detector")

    def wait() -> None:
        until(lambda: service.status()["model"] != str(Path(accepted).resolve()), "the trial")
        then()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_good_model_is_tried_out_and_kept_and_hardly_a_picture_is_lost(car: Car) -> None:
    first = car.machine.good("--boot")["served"]
    with car.step() as (service, steps):
        car.machine.good("install", car.bundle(1))
        report = car.update()
        assert report["outcome"] == "updated" and "finds" in report["text"]
        assert service.status()["model"] == report["served"] != first
        assert car.accepted() == Path(report["served"]).name
        assert car.update()["outcome"] == "present"
        assert service.status()["reloads"] == 1
    assert steps.lost <= 2
    car.machine.boot()
    assert car.machine.good("--boot")["served"] == report["served"]


def test_the_dlas_model_is_compiled_beside_and_switched_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from standin_dla import Dla  # noqa: PLC0415 (needs the stand-ins)

    car = Car(tmp_path, dla=True)
    Dla(monkeypatch, tmp_path / "report.txt").plug_in()
    car.machine.good("--boot")
    with car.step() as (_, steps):
        car.machine.good("install", car.bundle(1))
        report = car.update()
        assert report["outcome"] == "updated" and report["made"]["core"] == "dla0"
        assert len(car.machine.compilations) == 2
    assert steps.lost <= 2


def test_a_model_that_finds_nothing_in_its_own_picture_never_serves(car: Car) -> None:
    first = car.machine.good("--boot")["served"]
    with car.serve().wait_ready() as service:
        car.machine.good("install", car.bundle(1, blind=True))
        reason = car.update_badly()
        assert "self-test: finds 0 of" in reason and reason.endswith(f"{Path(first).name} serves on")
        assert service.status()["model"] == first and service.status()["reloads"] == 0
        assert "(remembered;" in car.update_badly(), "not again at every boot"
        car.machine.good("install", car.bundle(1))
        assert "self-test" in car.update_badly(), "asked for again, it is tried again"


def test_a_model_with_which_the_detector_ends_is_rolled_back(car: Car) -> None:
    first = car.machine.good("--boot")["served"]
    with car.serve().wait_ready() as service:
        car.machine.good("install", car.bundle(1))
        again: list[ServiceProcess] = []

        def crash() -> None:
            service.process.kill()
            service.process.wait()
            again.append(car.serve())  # as systemd does

        thread = during_the_trial(car, service, crash)
        reason = car.update_badly()
        thread.join()
    assert "the detector ended with it" in reason and reason.endswith(f"{Path(first).name} serves again")
    with again[0] as second:
        until(lambda: second.answers() and second.status()["model"] == first, "the accepted model")
    assert car.accepted() == Path(first).name and car.machine.entries == {Path(first).name}
    assert not (car.machine.links / "detector.down").exists()


def test_a_model_with_which_nothing_is_published_is_rolled_back(car: Car) -> None:
    first = car.machine.good("--boot")["served"]
    car.configure(starve_s=1, trial_s=60)
    car.sockets.mkdir()
    car.machine.good("install", car.bundle(1))
    with Patient(car.sockets / "c.sock", car.machine.links / "detector") as detector:
        detector.starves_with = car.bundle(1)
        assert "no picture was published for" in car.update_badly()
    assert car.accepted() == Path(first).name == Path(str(car.machine.serving)).name


def test_a_detector_that_stands_still_with_it_is_rolled_back(car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ANSWER_S", 0.5)
    first = car.machine.good("--boot")["served"]
    car.configure(starve_s=1, takeover_s=5, trial_s=60)
    with car.serve().wait_ready() as service:
        car.machine.good("install", car.untested(1))
        thread = during_the_trial(car, service, lambda: service.process.send_signal(signal.SIGSTOP))
        assert "the detector has not answered for" in car.update_badly()
        thread.join()
        assert (car.machine.links / "detector.down").exists(), "the unit starts it again"
        service.process.send_signal(signal.SIGCONT)
        until(lambda: service.status()["model"] == first, "the accepted model")


def test_what_the_detector_itself_refuses_is_rolled_back(car: Car) -> None:
    first = car.machine.good("--boot")["served"]
    with car.serve().wait_ready() as service:
        car.machine.good("install", car.bundle(1))
        (car.machine.folder / "detector.toml").write_text("ring_slots = 32\n")  # changes only by a restart
        bundle = f'bundle = "{car.machine.bundle.path}"\n'
        (car.machine.folder / "other.toml").write_text(bundle)
        flags = ("--detector", car.machine.folder / "other.toml", "--instance", "detector")
        assert "the detector refuses it" in car.machine.bad(1, "update", *car.control, *flags)
        assert service.status()["model"] == first


def test_sigterm_in_a_trial_ends_it_with_the_accepted_model_and_counts_for_nothing(car: Car) -> None:
    first = car.machine.good("--boot")["served"]
    car.configure(trial_s=60)
    with car.serve().wait_ready() as service:
        car.machine.good("install", car.bundle(1))
        thread = during_the_trial(car, service, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(SystemExit):
            car.machine.run("update", *car.control)
        thread.join()
        until(lambda: service.status()["model"] == first, "the accepted model")
        assert (car.machine.state / "trial" / "detector").read_text().endswith("\n0")
        car.configure()
        assert car.update()["outcome"] == "updated"


def test_by_hand_the_model_before_serves_again_and_the_other_does_not_come_back(car: Car) -> None:
    first = car.machine.good("--boot")["served"]
    assert "there is no model before" in car.machine.bad(1, "rollback")
    with car.serve().wait_ready() as service:
        car.machine.good("install", car.bundle(1))
        second = car.update()["served"]
        assert car.machine.good("rollback")["served"] == first
        until(lambda: service.status()["model"] == first, "the model before")
        assert "rolled back by hand (remembered;" in car.update_badly()
        car.machine.boot()
        assert "was rolled back: rolled back by hand" in car.machine.good("--boot")["text"]
        assert car.machine.good("install", car.bundle(1))
        assert car.update()["served"] == second


def test_two_detectors_may_serve_different_bundles(car: Car) -> None:
    (car.machine.folder / "detector-rear.toml").write_text(f'bundle = "{car.machine.folder / "rear.unina"}"\n')
    rear = ("--detector", car.machine.folder / "detector-rear.toml")
    car.machine.good("install", car.bundle(2), *rear)
    both = {car.machine.good("--boot")["served"], car.machine.good("--boot", *rear)["served"]}
    assert len(both) == 2
    with car.serve().wait_ready() as service:
        car.machine.good("install", car.bundle(1))
        updated = car.update()["served"]
        assert service.status()["model"] == updated
    assert car.accepted("detector-rear") in {Path(one).name for one in both}
    assert str((car.machine.links / "detector-rear").readlink()) in both


def test_without_a_detector_nothing_is_changed(car: Car) -> None:
    first = car.machine.good("--boot")["served"]
    car.configure(takeover_s=1)
    car.machine.good("install", car.untested(1))
    car.sockets.mkdir()
    assert "no detector answers" in car.update_badly(2)
    assert str(car.machine.serving) == first and car.accepted() == Path(first).name


def test_a_bundle_whose_classes_readers_do_not_know_needs_a_restart_and_is_refused(car: Car) -> None:
    car.machine.good("--boot")
    car.sockets.mkdir()
    new = car.bundle(1)
    text = (new / "manifest.json").read_text()
    (new / "manifest.json").write_text(text.replace('"yellow_cone"', '"traffic_light"'))
    car.machine.good("install", new)
    assert "has other classes" in car.update_badly()


def test_while_the_camera_is_lost_nothing_is_judged(car: Car, monkeypatch: pytest.MonkeyPatch) -> None:
    first = car.machine.good("--boot")["served"]
    monkeypatch.setattr(health, "LONGEST", 1)
    car.configure(takeover_s=2, starve_s=1)
    car.sockets.mkdir()
    car.machine.good("install", car.untested(1))
    with Patient(car.sockets / "c.sock", car.machine.links / "detector") as detector:
        detector.frames, detector.delivering = 1, False
        reason = car.update_badly()
        assert "the source was lost for most of the trial" in reason and reason.endswith("when the detector starts")
        assert car.accepted() == Path(first).name == Path(str(car.machine.serving)).name
        detector.delivering = True
        assert car.update()["outcome"] == "updated"


def test_what_takes_the_machine_down_three_times_is_not_tried_again(car: Car) -> None:
    first = car.machine.good("--boot")["served"]
    car.sockets.mkdir()
    car.configure(trial_s=600)
    car.machine.good("install", car.bundle(1))
    with Patient(car.sockets / "c.sock", car.machine.links / "detector") as detector:
        for _ in range(3):
            detector.offered.clear()
            process = os.fork()
            if process == 0:
                car.machine.run("update", *car.control)
                os._exit(0)
            until(lambda: len(detector.offered) == 2, "the trial")
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            car.machine.boot()
            assert car.machine.good("--boot")["served"] == first
        assert "3 trials ended with the power" in car.update_badly()
        detector.offered.clear()
        assert "(remembered;" in car.update_badly() and detector.offered <= {Path(first).name}


def test_who_decides_by_hand_during_a_trial_is_obeyed(car: Car) -> None:
    first = car.machine.good("--boot")["served"]
    shutil.rmtree(car.machine.bundle.path)
    car.machine.good("install", car.bundle(1))
    car.machine.good()
    car.sockets.mkdir()
    car.configure(trial_s=600)
    car.machine.good("install", car.bundle(2))
    with Patient(car.sockets / "c.sock", car.machine.links / "detector") as detector:
        process = os.fork()
        if process == 0:
            os._exit(car.machine.run("update", *car.control).returncode)
        until(lambda: len(detector.offered) == 2, "the trial")
        assert car.machine.good("rollback")["served"] == first
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 2
    assert str(car.machine.serving) == first and car.accepted() == Path(first).name


def test_what_was_rejected_and_is_taken_over_all_the_same_stays_at_the_next_boot(car: Car) -> None:
    car.machine.good("--boot")
    car.machine.good("install", car.bundle(1))
    second = car.machine.good()["served"]
    car.machine.good("rollback")
    car.machine.bad(1)
    assert car.machine.good("--force")["served"] == second
    car.machine.boot()
    assert car.machine.good("--boot")["served"] == second
